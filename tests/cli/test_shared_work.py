"""Commands whose processes share their work: files and scores are those of one process."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from benchmarks.small_recipes import read, shrunk
from genkit.cli.main import main
from genkit.core.catalog import build
from genkit.core.fingerprint import weights_fingerprint
from genkit.core.pretrained import Pretrained
from genkit.evaluation import latent_neighbours
from genkit.images import pixels
from tests.cli.test_series import on_two
from tests.training.tiny import on_processes

Lines = dict[str, list[str]]
TIMES = ("seconds", "cost", "versions")
"""Of a result, what differs from one run of a command to the next."""


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files of two sizes and kinds, one of them damaged."""
    folder = tmp_path_factory.mktemp("mixed")
    rng = torch.Generator().manual_seed(0)
    for size, channels, n in ((28, 1, 40), (40, 1, 30), (28, 3, 20)):
        images = torch.rand(n, channels, size, size, generator=rng) * 2 - 1
        pixels.write_folder(images, folder / f"{size}-{channels}")
    (folder / "bad.png").write_bytes(b"no picture")
    return folder


def untrained(name: str, folder: Path) -> str:
    """What a shipped recipe trains, small and untrained, in `folder`."""
    tree = shrunk(read(name))
    torch.manual_seed(0)
    system = build(tree["system"], kind="systems")
    return str(system.product.save_pretrained(folder / name))


@pytest.fixture(scope="module")
def lines(finished: Path, vae: Path, mixed: Path, tmp_path_factory: pytest.TempPathFactory) -> Lines:
    made = tmp_path_factory.mktemp("made")
    ddpm, noisy = (untrained(f"fashion_mnist/{name}", made) for name in ("ddpm", "noisy_classifier"))
    few = "{type: part, data: {type: digits, split: test}, stop: 150}"
    entries = [{"name": "gan", "source": str(finished)}, {"name": "files", "source": str(mixed / "28-1")}]
    bench = made / "two.yaml"
    bench.write_text(
        yaml.safe_dump({"against": "digits/test", "n": 40, "metrics": ["fd"], "seeds": [0], "entries": entries})
    )
    json_to = ["--json", "OUT/found.json"]
    against_few, of_vae = ["--against", few], ["--batch-size", "8", "--samples", "3"]
    return {
        "likelihood": ["evaluate", str(vae), "--metrics", "likelihood", *against_few, "-n", "30", *of_vae, *json_to],
        "diffusion": ["evaluate", ddpm, "--metrics", "likelihood", *against_few, "-n", "3", "--batch-size", "1",
                      *json_to],
        "knn": ["evaluate", str(vae), "--metrics", "knn", "--against", "digits/test", "--train", few, "-k", "1,3",
                *json_to],
        "accuracy": ["evaluate", noisy, "--against", "digits/test", "-n", "600", *json_to],
        "files": ["evaluate", str(mixed), "--against", "digits/test", "-n", "80", "--batch-size", "8",
                  "--metrics", "fd,kd,pr", "--skip-bad", "--no-cache", *json_to],
        "outliers": ["evaluate", "digits/test", "--against", str(finished), "--metrics", "outliers", "--share", "0.1",
                     "--out", "OUT/ranking.csv", "--grid", "OUT/worst.png"],
        "scores of images": ["score-images", str(vae), few, "--out", "OUT/scores.csv"],
        "stats": ["stats", str(mixed / "28-1"), "--out", "OUT/stats.npz"],
        "bench": ["bench", str(bench), "--out", "OUT/bench"],
    }  # fmt: skip


NAMES = (
    "likelihood", "diffusion", "knn", "accuracy", "files", "outliers", "scores of images", "stats", "bench",
)  # fmt: skip


def run_all(lines: Lines, to: Path) -> None:
    """Every command line, as typed; exits with the code of the first that fails."""
    latent_neighbours.ENCODED = 100
    for name, words in lines.items():
        (to / name).mkdir(parents=True, exist_ok=True)
        if code := main([word.replace("OUT", str(to / name)) for word in words]):
            raise SystemExit(code)


@pytest.fixture(scope="module")
def one_and_two(lines: Lines, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Folders with the results of one process, and of two."""
    one, two = (tmp_path_factory.mktemp(name) for name in ("one", "two"))
    run_all(lines, one)
    assert on_processes(2, run_all, two, lines, two) == [0, 0]
    return one, two


def plain(path: Path) -> Any:
    """The content of a result: JSON without times, an array, bytes of a picture, or text."""
    if path.suffix == ".json":
        return _timeless(json.loads(path.read_text()))
    if path.suffix == ".npz":
        with np.load(path) as arrays:
            return {name: arrays[name].tolist() for name in arrays.files}
    return path.read_bytes()


def _timeless(tree: Any) -> Any:
    if isinstance(tree, dict):
        return {k: _timeless(v) for k, v in tree.items() if k not in TIMES}
    return [_timeless(v) for v in tree] if isinstance(tree, list) else tree


def results(folder: Path) -> dict[str, Path]:
    pages = (".html", ".md")
    found = (path for path in sorted(folder.rglob("*")) if path.is_file() and path.suffix not in pages)
    return {str(path.relative_to(folder)): path for path in found if not path.name.startswith(".")}


@pytest.mark.parametrize("name", NAMES)
def test_two_processes_find_what_one_finds(name: str, lines: Lines, one_and_two: tuple[Path, Path]) -> None:
    assert set(NAMES) == set(lines)
    one, two = (results(folder / name) for folder in one_and_two)
    assert one and one.keys() == two.keys()
    for path in one:
        assert plain(one[path]) == plain(two[path]), path


@pytest.mark.parametrize("name", ["likelihood", "diffusion", "knn", "accuracy"])
def test_a_score_tells_whose_it_is(name: str, lines: Lines, one_and_two: tuple[Path, Path]) -> None:
    found = json.loads((one_and_two[0] / name / "found.json").read_text())["a"]
    held = Pretrained.from_pretrained(lines[name][1])
    assert isinstance(held, torch.nn.Module) and found["name"] == lines[name][1]
    assert found["weights"] == weights_fingerprint(held) and found["settings"] == json.loads(json.dumps(held.config))


def test_files_are_decoded_by_one_process_each(mixed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert on_processes(2, decode_a_share, tmp_path, mixed, tmp_path) == [0, 0]
    shares = [set((tmp_path / f"{rank}.txt").read_text().split()) for rank in range(2)]
    assert len(shares[0]) == 48 and len(shares[1]) == 42 + 1 and not shares[0] & shares[1]


def decode_a_share(folder: Path, to: Path) -> None:
    from genkit.images import image_files

    seen, honest = list[str](), image_files.decode

    def decode(content: bytes, name: str, *rest: Any) -> Any:
        seen.append(name)
        return honest(content, name, *rest)

    image_files.decode = decode
    words = ["evaluate", str(folder), "--against", "digits/test", "--batch-size", "16", "--metrics", "fd"]
    code = main([*words, "--skip-bad", "--no-cache", "-n", "91"])
    (to / f"{os.environ['RANK']}.txt").write_text("\n".join(seen))
    raise SystemExit(code)


@pytest.mark.slow
def test_so_it_is_as_typed_with_accelerate(lines: Lines, one_and_two: tuple[Path, Path], tmp_path: Path) -> None:
    ran = on_two(*(word.replace("OUT", str(tmp_path)) for word in lines["likelihood"]))
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.count("n = 30") == 1, "one process tells"
    assert plain(tmp_path / "found.json") == plain(one_and_two[0] / "likelihood" / "found.json")
