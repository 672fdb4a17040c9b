from __future__ import annotations

from pathlib import Path

import pytest
import torch

from genkit.data import storage
from genkit.errors import CheckpointError, DataError
from genkit.image_files import ImageFiles
from genkit.images import write_png


@pytest.fixture
def files(tmp_path: Path) -> ImageFiles:
    rng = torch.Generator().manual_seed(0)
    for number in range(20):
        image = torch.randint(256, (1 if number % 3 else 3, 9, 12), dtype=torch.uint8, generator=rng)
        write_png(tmp_path / "set" / f"{number:02d}.png", image)
    (tmp_path / "set" / "07.png").write_bytes(b"damaged")
    return ImageFiles(tmp_path / "set")


@pytest.fixture
def small_memory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setattr(storage, "memory_limit", lambda: 100)
    monkeypatch.setenv("GENKIT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "pixels"


def test_mapped_equals_in_memory(files: ImageFiles, small_memory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mapped = storage.decode_files(files, 6, 3, on_bad="skip")
    again = storage.decode_files(files, 6, 3, on_bad="skip", progress=lambda *_: pytest.fail("decoded again"))
    monkeypatch.setattr(storage, "memory_limit", lambda: 10**9)
    kept = storage.decode_files(files, 6, 3, on_bad="skip")
    for pixels in (mapped, again):
        assert torch.equal(pixels.x, kept.x) and pixels.x.shape == (19, 3, 6, 6)
        assert torch.equal(pixels.kept, kept.kept) and 7 not in pixels.kept.tolist()
        assert pixels.report == kept.report
    assert sorted(p.suffix for p in small_memory.iterdir()) == [".json", ".u8"]


def test_options_and_contents_have_files_of_their_own(files: ImageFiles, small_memory: Path) -> None:
    storage.decode_files(files, 6, 3, on_bad="skip")
    storage.decode_files(files, 6, 1, on_bad="skip")
    with pytest.raises(DataError, match=r"07\.png"):
        storage.decode_files(files, 6, 3)
    write_png(files.path / "07.png", torch.zeros(3, 9, 12))
    fresh = storage.decode_files(ImageFiles(files.path), 6, 3, on_bad="skip")
    assert len(fresh.x) == 20 and int(fresh.x[7].max()) == 128
    assert len(list(small_memory.glob("*.u8"))) == 3


def test_a_stopped_decoding_leaves_nothing_to_trust(files: ImageFiles, small_memory: Path) -> None:
    with pytest.raises(DataError, match=r"07\.png"):
        storage.decode_files(files, 6, 3)
    assert list(small_memory.iterdir()) == []


def test_a_cut_file_is_refused(files: ImageFiles, small_memory: Path) -> None:
    storage.decode_files(files, 6, 3, on_bad="skip")
    (path,) = small_memory.glob("*.u8")
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DataError, match="delete both"):
        storage.decode_files(files, 6, 3, on_bad="skip")


def test_a_cache_that_cannot_be_written_is_one_line(files, small_memory, monkeypatch) -> None:
    monkeypatch.setenv("GENKIT_CACHE", str(files.path / "00.png"))
    with pytest.raises(CheckpointError, match=r"cannot write .*00\.png"):
        storage.decode_files(files, 6, 3, on_bad="skip")


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
