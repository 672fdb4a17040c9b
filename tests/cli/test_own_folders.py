"""Results of many files go into folders of their own: nothing of others is replaced, or left among them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from genkit.core.errors import WeightsError
from genkit.core.files import check_own_folder, held_in
from genkit.images.pixels import write_png
from tests.cli.console import refusal, run

Capture = pytest.CaptureFixture[str]
COMMANDS = {
    "refine": ("refine", "digits-wgan-ratio-clipping", "--data", "mnist/test", "--ratio", "keep", "--steps", 1),
    "refine, no training": ("refine", "digits-wgan-ratio-clipping", "--data", "mnist/test", "--ratio", "raw"),
    "directions": ("directions", "digits-wgan-ratio-clipping", "--method", "sefa", "-k", 2, "--score-steps", 0),
    "directions, learned": ("directions", "digits-wgan-ratio-clipping", "-k", 2, "--steps", 1),
}


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("held", ["config.json", "scores.json", "photo.jpg", "weights/config.json"])
def test_a_folder_of_others_is_refused_and_left_as_it_is(name: str, held: str, tmp_path: Path, capsys: Capture) -> None:
    if held == "scores.json":
        held = "refinement.json" if name.startswith("refine") else "scores.csv"
    file = tmp_path / "out" / held
    file.parent.mkdir(parents=True)
    file.write_text("mine")
    before = contents(tmp_path)
    first = Path(held).parts[0]
    assert refusal(capsys, *COMMANDS[name], "--out", tmp_path / "out").endswith(
        f"out holds other files, such as {first}; choose another folder"
    )
    assert contents(tmp_path) == before


@pytest.mark.parametrize("name", ["refine", "directions, learned"])
def test_nor_is_one_gone_on_with_that_holds_no_beginning(name: str, tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/config.json").write_text("{}")
    said = refusal(capsys, *COMMANDS[name], "--resume", "--out", tmp_path / "out")
    assert "holds other files, such as config.json" in said


@pytest.mark.parametrize("arguments", [("export", "fashion-mnist-gan", "--to", "torch"), COMMANDS["directions"]])
def test_a_hidden_file_is_nobodys(arguments: tuple[object, ...], tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / ".DS_Store").write_text("of a Mac")
    assert run(capsys, *arguments, "--out", tmp_path).code == 0
    assert (tmp_path / ".DS_Store").read_text() == "of a Mac" and held_in(tmp_path)


def test_own_files_are_no_others(tmp_path: Path) -> None:
    check_own_folder(tmp_path / "absent", ())
    (tmp_path / "training").mkdir()
    check_own_folder(tmp_path, ["training", "config.json"])
    with pytest.raises(WeightsError, match="holds other files, such as training; choose another folder"):
        check_own_folder(tmp_path, ["config.json"])


@pytest.mark.parametrize("held", ["Katze/1.jpg", "1.jpg", "b.png", "c.WEBP"])
def test_samples_do_not_go_among_photographs(held: str, tmp_path: Path, capsys: Capture) -> None:
    file = tmp_path / "photos" / held
    file.parent.mkdir(parents=True)
    write_png(file, torch.zeros(3, 8, 8))
    said = refusal(capsys, "sample", "digits-wgan-ratio-clipping", "-n", 2, "--out", tmp_path / "photos")
    assert Path(held).parts[0] in said and said.endswith("choose another --out or remove them")
    assert [p.name for p in (tmp_path / "photos").rglob("*") if p.is_file()] == [file.name]


@pytest.mark.parametrize("held", ["Katze/1.jpg", "1.jpg", "b.png", "c.WEBP"])
@pytest.mark.parametrize("more", [[], ["--resume"]])
def test_nor_does_a_run(held: str, more: list[str], tmp_path: Path, capsys: Capture) -> None:
    file = tmp_path / "photos" / held
    file.parent.mkdir(parents=True)
    write_png(file, torch.zeros(3, 8, 8))
    said = refusal(capsys, "train", "digits/wgan_ratio_clipping", *more, "--out", tmp_path / "photos")
    assert said.endswith(f"photos holds images, such as {held}, and no run; choose another --out")
    assert [p.name for p in (tmp_path / "photos").rglob("*") if p.is_file()] == [file.name]


@pytest.mark.parametrize("text", ["names: {0: darker}\n", "names: [darker]\n", "names: {0: dark"])
def test_names_that_were_given_to_directions_are_not_replaced(text: str, tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/directions.yaml").write_text(text)
    for name in ("directions", "directions, learned"):
        said = refusal(capsys, *COMMANDS[name], "--out", tmp_path / "out")
        assert said.endswith("directions.yaml holds names that were given, and would be replaced; choose another --out")
    assert (tmp_path / "out/directions.yaml").read_text() == text


def test_images_in_place_of_a_recipe_are_told_how_to_get_one(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_png(Path("my photos/a.png"), torch.zeros(3, 8, 8))
    shutil.make_archive("photos", "zip", "my photos")
    for given, typed in (("photos.zip", "photos.zip"), ("my photos/a.png", "'my photos/a.png'")):
        said = f"{given} is no recipe; of images 'genkit new {typed}' writes one"
        assert refusal(capsys, "train", given) == f"{said}"
    assert "of images 'genkit new 'my photos'' writes a recipe" in refusal(capsys, "train", "my photos")
    Path("my photos/recipe.yaml").write_text("name: x")
    assert "my photos is a run; its recipe is my photos/recipe.yaml" in refusal(capsys, "train", "my photos")
