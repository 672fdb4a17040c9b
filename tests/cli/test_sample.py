"""genkit sample: complete files, the same at any batch size, nothing mixed with what was there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from genkit import images
from genkit.cli.sample import _refuse_leftovers
from genkit.errors import DataError
from genkit.image_files import ImageFiles
from tests.cli.console import refusal, run

Capture = pytest.CaptureFixture[str]


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_same_files_at_any_batch_size(capsys: Capture, finished: Path, tmp_path: Path) -> None:
    ran = run(capsys, "sample", finished, "-n", 7, "--seed", 3, "--out", tmp_path / "a")
    assert ran.code == 0 and "7 images" in ran.out and "seed 3" in ran.out
    run(capsys, "sample", finished / "weights", "-n", 7, "--seed", 3, "--batch-size", 2, "--out", tmp_path / "b")
    run(capsys, "sample", finished, "-n", 7, "--seed", 4, "--out", tmp_path / "c")
    a, b, c = (contents(tmp_path / name) for name in "abc")
    assert list(a) == [f"{i:06d}.png" for i in range(7)]
    assert a == b and not set(a.values()) & set(c.values())


def test_labels_and_grid(capsys: Capture, finished: Path, tmp_path: Path) -> None:
    for label in (3, 4):
        ran = run(capsys, "sample", finished, "-n", 4, "--label", label, "--grid", "--out", tmp_path / str(label))
        assert ran.code == 0 and "grid.png" in ran.out
    assert (tmp_path / "3" / "000000.png").read_bytes() != (tmp_path / "4" / "000000.png").read_bytes()
    with Image.open(tmp_path / "3" / "grid.png") as picture:
        assert picture.size == (28 * 2 + 2, 28 * 2 + 2)


def test_points(capsys: Capture, points: Path, tmp_path: Path) -> None:
    assert run(capsys, "sample", points, "-n", 50, "--out", tmp_path).code == 0
    values = np.load(tmp_path / "points.npy", allow_pickle=False)
    assert values.shape == (50, 2) and values.dtype == np.float32
    assert np.allclose(np.loadtxt(tmp_path / "points.csv", delimiter=","), values)
    assert (tmp_path / "points.png").is_file()


def test_samples_of_before_are_not_mixed_in(capsys: Capture, finished: Path, tmp_path: Path) -> None:
    run(capsys, "sample", finished, "-n", 5, "--grid", "--out", tmp_path)
    assert run(capsys, "sample", finished, "-n", 5, "--out", tmp_path).code == 0
    before = contents(tmp_path)
    assert "000004.png" in refusal(capsys, "sample", finished, "-n", 4, "--out", tmp_path)
    assert contents(tmp_path) == before


def test_more_than_a_million_names_sort_in_order(tmp_path: Path) -> None:
    assert [images.digits(n) for n in (1, 10**6, 10**6 + 1, 10**8)] == [6, 6, 7, 8]
    picture = torch.zeros(1, 1, 8, 8)
    for start in (1_000_000, 999_999, 5):
        images.write_folder([picture], tmp_path, start, images.digits(10**6 + 1))
    assert ImageFiles(tmp_path).names == ["0000005.png", "0999999.png", "1000000.png"]


def test_a_longer_series_is_not_mixed_with_a_shorter_one(tmp_path: Path) -> None:
    (tmp_path / "000003.png").write_bytes(b"")
    _refuse_leftovers(tmp_path, 10**6)
    with pytest.raises(DataError, match=r"holds other images, such as 000003\.png"):
        _refuse_leftovers(tmp_path, 10**6 + 1)


def test_interrupted_sampling_leaves_complete_files(
    capsys: Capture, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = images.png_bytes

    def interrupted(image: object) -> bytes:
        if len(list(tmp_path.glob("*.png"))) == 3:
            raise KeyboardInterrupt
        return made(image)  # type: ignore[arg-type]

    monkeypatch.setattr(images, "png_bytes", interrupted)
    assert run(capsys, "sample", finished, "-n", 6, "--out", tmp_path).code == 130
    for path in tmp_path.glob("*.png"):
        Image.open(path).load()
    assert len(contents(tmp_path)) == 3


def test_the_grid_is_no_sample(capsys: Capture, finished: Path, tmp_path: Path) -> None:
    run(capsys, "sample", finished, "-n", 5, "--grid", "--out", tmp_path)
    assert ImageFiles(tmp_path).names == [f"{i:06d}.png" for i in range(5)]
