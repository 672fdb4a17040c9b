"""genkit sample: complete files, the same at any batch size, nothing mixed with what was there."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from genkit.cli.sample_files import RECORD, refuse_others
from genkit.core.errors import DataError
from genkit.core.files import only_writer
from genkit.images import pixels as images
from genkit.images import scatter
from genkit.images.grid import GAP
from genkit.images.image_files import ImageFiles
from tests.cli.console import refusal, run
from tests.training.tiny import child

Capture = pytest.CaptureFixture[str]


def contents(folder: Path) -> dict[str, bytes]:
    """Files by name, without the record of the series, which tells weights apart that make equal samples."""
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.name != RECORD}


def test_same_files_at_any_batch_size(capsys: Capture, finished: Path, tmp_path: Path) -> None:
    ran = run(capsys, "sample", finished, "-n", 7, "--seed", 3, "--out", tmp_path / "a")
    assert ran.code == 0 and "7 images" in ran.out and "seed 3" in ran.out
    run(capsys, "sample", finished / "weights", "-n", 7, "--seed", 3, "--batch-size", 2, "--out", tmp_path / "b")
    run(capsys, "sample", finished, "-n", 7, "--seed", 4, "--out", tmp_path / "c")
    a, b, c = (contents(tmp_path / name) for name in "abc")
    assert list(a) == [f"{i:06d}.png" for i in range(7)]
    assert (tmp_path / "a" / RECORD).read_bytes() == (tmp_path / "b" / RECORD).read_bytes()
    assert a == b and not set(a.values()) & set(c.values())


@pytest.mark.parametrize(("labels", "columns"), [("0,1", 8), ("0,1,2", 6), ("3", 4), ("0,1,2,3,4,5,6,7,8,9", 10)])
def test_labels_in_turn_have_a_column_each(
    capsys: Capture, finished: Path, tmp_path: Path, labels: str, columns: int
) -> None:
    run(capsys, "sample", finished, "-n", 16, "--label", labels, "--grid", "--out", tmp_path)
    side = images.decode((tmp_path / "000000.png").read_bytes(), "0")[0].shape[-1]
    wide = images.decode((tmp_path / "grid.png").read_bytes(), "grid")[0].shape[-1]
    times = (wide + GAP) // (columns * side)
    assert wide == columns * (times * side + GAP) - GAP


def test_the_way_from_one_seed_to_another(capsys: Capture, finished: Path, tmp_path: Path) -> None:
    """Its ends are the first samples of both seeds, up to their batch, and it stays what it is asked for."""
    for seed in (3, 5):
        run(capsys, "sample", finished, "-n", 1, "--seed", seed, "--label", 4, "--out", tmp_path / str(seed))
    way = [finished, "-n", 6, "--seed", 3, "--to-seed", 5, "--label", 4]
    ran = run(capsys, "sample", *way, "--grid", "--out", tmp_path / "way")
    assert ran.code == 0 and "6 images" in ran.out and "from seed 3, label 4 to seed 5" in ran.out, ran
    assert len(list((tmp_path / "way").glob("0*.png"))) == 6
    for name, seed in (("000000.png", 3), ("000005.png", 5)):
        pair = [
            images.decode((tmp_path / f / n).read_bytes(), n)[0] for f, n in (("way", name), (str(seed), "000000.png"))
        ]
        assert (pair[0].int() - pair[1].int()).abs().max() <= 1
    assert "give one value of each" in refusal(capsys, "sample", *way[:-1], "4,5", "--out", tmp_path / "x")
    assert "at least 2" in refusal(capsys, "sample", finished, "-n", 1, "--to-seed", 5, "--out", tmp_path / "x")
    ddpm = ["fashion-mnist-ddpm", "-n", 2, "--to-seed", 5, "--out", tmp_path / "x"]
    assert "--to-seed goes through the latent" in refusal(capsys, "sample", *ddpm)
    assert not (tmp_path / "x").exists()


def test_labels_and_grid(capsys: Capture, finished: Path, tmp_path: Path) -> None:
    for label in (3, 4):
        ran = run(capsys, "sample", finished, "-n", 4, "--label", label, "--grid", "--out", tmp_path / str(label))
        assert ran.code == 0 and "grid.png" in ran.out
    assert (tmp_path / "3" / "000000.png").read_bytes() != (tmp_path / "4" / "000000.png").read_bytes()
    with Image.open(tmp_path / "3" / "grid.png") as picture:
        assert picture.size == (84 * 2 + 2, 84 * 2 + 2), "28 pixels thrice"


def test_points(capsys: Capture, points: Path, tmp_path: Path) -> None:
    assert run(capsys, "sample", points, "-n", 50, "--out", tmp_path).code == 0
    values = np.load(tmp_path / "points.npy", allow_pickle=False)
    assert values.shape == (50, 2) and values.dtype == np.float32
    assert np.allclose(np.loadtxt(tmp_path / "points.csv", delimiter=","), values)
    with Image.open(tmp_path / "points.png") as picture:
        assert picture.size == (512, 512) and scatter.GREY in colours(picture), "over the data of the run"
    assert run(capsys, "sample", points / "weights", "-n", 50, "--out", tmp_path).code == 0
    with Image.open(tmp_path / "points.png") as picture:
        assert scatter.BLUE in colours(picture) and scatter.GREY not in colours(picture)


def test_points_whose_data_are_gone_are_drawn_alone(capsys: Capture, points: Path, tmp_path: Path) -> None:
    lost = shutil.copytree(points, tmp_path / "run")
    tree = yaml.safe_load((lost / "recipe.yaml").read_text(encoding="utf-8"))
    (lost / "recipe.yaml").write_text(yaml.safe_dump({**tree, "data": {"type": "set_of_mine"}}), encoding="utf-8")
    assert run(capsys, "sample", lost, "-n", 5, "--out", tmp_path / "drawn").code == 0
    with Image.open(tmp_path / "drawn" / "points.png") as picture:
        assert scatter.GREY not in colours(picture)


def test_a_run_draws_its_points_over_the_data(points: Path) -> None:
    with Image.open(points / "samples.png") as picture:
        assert {scatter.BLUE, scatter.GREY} <= colours(picture)


def colours(picture: Image.Image) -> set[object]:
    return {colour for _, colour in picture.getcolors(2**20) or ()}


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
    (tmp_path / ".series.json").write_text("{}")
    refuse_others(tmp_path, 10**6)
    with pytest.raises(DataError, match=r"holds other images, such as 000003\.png"):
        refuse_others(tmp_path, 10**6 + 1)


@pytest.mark.parametrize("name", ["000001.png", "grid.png", "points.csv"])
def test_somebodys_own_files_are_not_taken_for_samples(
    capsys: Capture, finished: Path, points: Path, tmp_path: Path, name: str
) -> None:
    """Whatever they are called: only a folder that samples were written to is written to again."""
    (tmp_path / name).write_bytes(b"mine")
    weights = points if name == "points.csv" else finished
    said = refusal(capsys, "sample", weights, "-n", 3, "--grid", "--out", tmp_path)
    assert said.endswith("choose another --out or remove it") and f"holds {name}, which would be replaced" in said
    assert contents(tmp_path) == {name: b"mine"}
    assert run(capsys, "sample", weights, "-n", 3, "--out", tmp_path / "new").code == 0
    assert run(capsys, "sample", weights, "-n", 3, "--seed", 1, "--out", tmp_path / "new").code == 0


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
    assert list(contents(tmp_path)) == ["000000.png", "000001.png", "000002.png"]


def hold(out: Path, held: Path, release: Path) -> None:
    with only_writer(out, "writing samples to"):
        held.touch()
        while not release.exists():
            time.sleep(0.01)


def test_a_second_process_in_the_same_folder_is_refused(capsys: Capture, finished: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    process = child(hold, out, tmp_path / "held", tmp_path / "release")
    while process.is_alive() and not (tmp_path / "held").exists():
        time.sleep(0.01)
    told = refusal(capsys, "sample", finished, "-n", 3, "--out", out)
    assert told == f"another process is writing samples to {out}; wait or choose another --out"
    assert list(contents(out)) == [".lock"]
    (tmp_path / "release").touch()
    process.join(30)
    assert run(capsys, "sample", finished, "-n", 3, "--out", out).code == 0
    assert list(contents(out)) == ["000000.png", "000001.png", "000002.png"]


def test_what_a_kill_left_is_removed_and_what_is_of_others_stays(
    capsys: Capture, finished: Path, tmp_path: Path
) -> None:
    for name in (".image.0123abcd.tmp", ".grid.png.0123abcd.tmp", ".of_an_editor.tmp", ".lock"):
        (tmp_path / name).touch()
    assert run(capsys, "sample", finished, "-n", 1, "--out", tmp_path).code == 0
    assert list(contents(tmp_path)) == [".of_an_editor.tmp", "000000.png"]


def test_two_writers_have_no_temporary_name_in_common(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names, honest = list[Path](), images.temporary_beside
    monkeypatch.setattr(images, "temporary_beside", lambda path: names.append(honest(path)) or names[-1])
    for _ in range(2):
        images.write_folder([torch.zeros(2, 1, 4, 4)], tmp_path)
    assert len(set(names)) == 2 and list(contents(tmp_path)) == ["000000.png", "000001.png"]


def test_a_series_that_is_stopped_is_not_mixed_with_the_one_before(
    capsys: Capture, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(capsys, "sample", finished, "-n", 6, "--grid", "--out", tmp_path)
    made, calls = images.png_bytes, list[object]()

    def stopped(image: object) -> bytes:
        calls.append(image)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return made(image)  # type: ignore[arg-type]

    monkeypatch.setattr(images, "png_bytes", stopped)
    assert run(capsys, "sample", finished, "-n", 6, "--seed", 1, "--out", tmp_path).code == 130
    assert list(contents(tmp_path)) == ["000000.png", "000001.png"]


def test_the_grid_is_no_sample(capsys: Capture, finished: Path, tmp_path: Path) -> None:
    run(capsys, "sample", finished, "-n", 5, "--grid", "--out", tmp_path)
    assert ImageFiles(tmp_path).names == [f"{i:06d}.png" for i in range(5)]
