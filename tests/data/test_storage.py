from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from genkit.core.errors import CheckpointError, DataError
from genkit.data import storage
from genkit.images.image_files import ImageFiles
from genkit.images.pixels import write_png
from tests.training.tiny import on_processes


@pytest.fixture
def files(tmp_path: Path) -> ImageFiles:
    rng = torch.Generator().manual_seed(0)
    for number in range(20):
        image = torch.randint(256, (1 if number % 3 else 3, 9, 12), dtype=torch.uint8, generator=rng)
        write_png(tmp_path / "set" / f"{number:02d}.png", image)
    (tmp_path / "set" / "07.png").write_bytes(b"damaged")
    return ImageFiles(tmp_path / "set")


@pytest.fixture
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("GENKIT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "pixels"


@pytest.fixture
def small_memory(monkeypatch: pytest.MonkeyPatch, cache: Path) -> Path:
    monkeypatch.setattr(storage, "memory_limit", lambda: 100)
    return cache


def test_mapped_equals_in_memory(files: ImageFiles, small_memory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mapped = storage.decode_files(files, 6, 3, skip_bad=True)
    again = storage.decode_files(files, 6, 3, skip_bad=True, progress=lambda *_: pytest.fail("decoded again"))
    monkeypatch.setattr(storage, "memory_limit", lambda: 10**9)
    monkeypatch.setenv("GENKIT_CACHE", str(small_memory / "other"))
    kept = storage.decode_files(files, 6, 3, skip_bad=True)
    for pixels in (mapped, again):
        assert torch.equal(pixels.x, kept.x) and pixels.x.shape == (19, 3, 6, 6)
        assert torch.equal(pixels.kept, kept.kept) and 7 not in pixels.kept.tolist()
        assert pixels.report == kept.report
    assert sorted(p.suffix for p in small_memory.iterdir() if p.is_file()) == [".json", ".u8"]


def test_options_and_contents_have_files_of_their_own(files: ImageFiles, small_memory: Path) -> None:
    storage.decode_files(files, 6, 3, skip_bad=True)
    storage.decode_files(files, 6, 1, skip_bad=True)
    with pytest.raises(DataError, match=r"07\.png"):
        storage.decode_files(files, 6, 3)
    write_png(files.path / "07.png", torch.zeros(3, 9, 12))
    fresh = storage.decode_files(ImageFiles(files.path), 6, 3, skip_bad=True)
    assert len(fresh.x) == 20 and int(fresh.x[7].max()) == 128
    assert len(list(small_memory.glob("*.u8"))) == 3


def test_a_stopped_decoding_leaves_nothing_to_trust(files: ImageFiles, small_memory: Path) -> None:
    with pytest.raises(DataError, match=r"07\.png"):
        storage.decode_files(files, 6, 3)
    assert list(small_memory.iterdir()) == []


def test_sets_that_fit_in_memory_are_kept_too(files: ImageFiles, cache: Path) -> None:
    first = storage.decode_files(files, 6, 3, skip_bad=True)
    again = storage.decode_files(
        ImageFiles(files.path), 6, 3, skip_bad=True, progress=lambda *_: pytest.fail("decoded again")
    )
    assert torch.equal(first.x, again.x) and torch.equal(first.kept, again.kept) and first.report == again.report
    again.x.zero_()
    assert torch.equal(storage.decode_files(files, 6, 3, skip_bad=True).x, first.x), "writing to a set changes no file"


def test_other_content_of_the_same_size_and_time_is_decoded(files: ImageFiles, cache: Path) -> None:
    before, path = storage.decode_files(files, 6, 3, skip_bad=True), files.path / "00.png"
    about, content = path.stat(), path.read_bytes()
    path.write_bytes((files.path / "03.png").read_bytes()[: len(content)].ljust(len(content), b"\0"))
    os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns))
    after = storage.decode_files(ImageFiles(files.path), 6, 3, skip_bad=True)
    assert path.stat().st_size == about.st_size and not torch.equal(before.x[0], after.x[0])


@pytest.mark.parametrize("damage", ["cut", "no json", "other json"])
@pytest.mark.parametrize("limit", [100, 10**9], ids=["mapped", "in memory"])
def test_what_is_damaged_is_made_again(files, cache, monkeypatch, damage: str, limit: int) -> None:
    monkeypatch.setattr(storage, "memory_limit", lambda: limit)
    whole = storage.decode_files(files, 6, 3, skip_bad=True).x.clone()
    (path,) = cache.glob("*.u8")
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-1])
    else:
        path.with_suffix(".json").write_text("{" if damage == "no json" else "[1]")
    assert torch.equal(storage.decode_files(files, 6, 3, skip_bad=True).x, whole)


def test_a_small_set_needs_no_cache(files: ImageFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GENKIT_CACHE", str(files.path / "00.png"))
    pixels = storage.decode_files(files, 6, 3, skip_bad=True)
    assert len(pixels.x) == 19
    (line,) = pixels.report.remarks
    assert line.startswith("the decoded images are not kept for the next start: cannot write")


def test_leftovers_of_killed_decodings_go_at_the_next_start(files: ImageFiles, cache: Path) -> None:
    cache.mkdir(parents=True)
    (cache / ".a.u8.12345678.tmp").touch()
    storage.decode_files(files, 6, 3, skip_bad=True)
    assert not list(cache.glob(".*"))


def test_sigterm_while_decoding_leaves_no_temporary(files: ImageFiles, cache: Path) -> None:
    """A large set, of which the process is told to stop after the first image."""
    code = (
        "import os, signal, sys\n"
        "from genkit.cli import main, info\nfrom genkit.data import storage\n"
        "from genkit.images.image_files import ImageFiles\n"
        "storage.memory_limit = lambda: 100\n"
        "def stop(done, total):\n"
        f"    assert list(__import__('pathlib').Path({str(cache)!r}).glob('.*.tmp'))\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "def decode(subject):\n"
        "    storage.decode_files(ImageFiles(subject), 6, 3, skip_bad=True, progress=stop)\n"
        "info.command.callback = decode\n"
        f"sys.exit(main.main(['info', {str(files.path)!r}]))\n"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True)
    assert done.returncode == 143, done.stderr
    assert cache.is_dir() and not list(cache.iterdir())


def test_a_cache_that_cannot_be_written_is_one_line(files, small_memory, monkeypatch) -> None:
    monkeypatch.setenv("GENKIT_CACHE", str(files.path / "00.png"))
    with pytest.raises(CheckpointError, match=r"cannot write .*00\.png"):
        storage.decode_files(files, 6, 3, skip_bad=True)


def test_what_would_not_fit_in_memory_is_refused_before_it_is_made(small_memory: Path) -> None:
    x = torch.zeros(3, 1, 4, 4, dtype=torch.uint8)
    assert storage.in_size(x, 5, 1, "d").shape == (3, 1, 5, 5)
    with pytest.raises(DataError, match=r"d: 3 images of size 6 need .* choose a smaller size"):
        storage.in_size(x, 6, 1, "d")


def test_places(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GENKIT_DATA", raising=False)
    monkeypatch.setenv("GENKIT_CACHE", "/c")
    assert storage.data_root(None) == Path("/c/data")
    monkeypatch.setenv("GENKIT_DATA", "/d")
    assert storage.data_root(None) == Path("/d") and storage.data_root(Path("/r")) == Path("/r")
    assert storage.memory_limit() > 2**26


def decode_and_count(folder: Path, to: Path) -> None:
    from genkit.images import image_files

    seen, honest = list[str](), image_files.decode

    def decode(content: bytes, name: str, *rest: object) -> object:
        seen.append(name)
        time.sleep(0.02)
        return honest(content, name, *rest)  # type: ignore[arg-type]

    image_files.decode = decode  # type: ignore[assignment]
    os.environ["GENKIT_CACHE"] = str(to / "cache")
    pixels = storage.decode_files(ImageFiles(folder), 6, 1, skip_bad=True)
    (to / f"{os.environ['RANK']}.txt").write_text(f"{len(seen)} {pixels.x.float().mean().item()}")


def test_of_several_processes_one_decodes(files: ImageFiles, tmp_path: Path) -> None:
    (tmp_path / "told").mkdir()
    assert on_processes(2, decode_and_count, tmp_path, files.path, tmp_path / "told") == [0, 0]
    told = [(tmp_path / "told" / f"{rank}.txt").read_text().split() for rank in range(2)]
    assert sorted(int(count) for count, _ in told) == [0, len(files)]
    assert told[0][1] == told[1][1]
    assert not list((tmp_path / "told" / "cache").rglob("*.lock"))


def test_processes_of_a_launch_share_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "usable_memory", lambda: 800)
    assert storage.memory_limit() == 200
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    assert storage.memory_limit() == 50
