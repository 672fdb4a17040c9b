from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from genkit.core.catalog import build
from genkit.core.errors import DataError, RecipeError
from genkit.data.folder import folder
from genkit.images.pixels import write_png
from genkit.training.files_table import write_files_table
from tests.shared import shared


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    for value, name in enumerate(["cat/0.png", "cat/1.png", "dog/0.png"]):
        write_png(tmp_path / name, torch.full((3, 8, 8), 50 * value, dtype=torch.uint8))
    return tmp_path


def test_class_folders_become_labels(pets: Path) -> None:
    data = build({"type": "folder", "path": str(pets), "size": 4}, kind="data")
    assert data.classes == ("cat", "dog") and data.labels.tolist() == [0, 0, 1]
    assert data.x[:, 0, 0, 0].tolist() == [0, 50, 100] and data.sample_shape == (3, 4, 4)
    assert folder(pets, 4, labels=False).labels is None


def test_labels_stay_with_their_images_when_one_is_skipped(pets: Path) -> None:
    (pets / "cat" / "0.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"cat/0\.png: the file is empty"):
        folder(pets, 4)
    data = folder(pets, 4, skip_bad=True)
    assert data.labels is not None and data.labels.tolist() == [0, 1]
    assert data.x[:, 0, 0, 0].tolist() == [50, 100]
    assert data.report is not None and data.report.rejected == [("cat/0.png", "the file is empty")]


def test_mixed_channels_follow_the_declared_ones(pets: Path) -> None:
    write_png(pets / "dog" / "grey.png", torch.full((1, 8, 8), 7, dtype=torch.uint8))
    colour, grey = folder(pets, 8, channels=3), folder(pets, 8, channels=1)
    assert colour.x[3, :, 0, 0].tolist() == [7, 7, 7] and colour.report.converted == {"grey to colour": 1}
    assert grey.sample_shape == (1, 8, 8) and grey.report.converted == {"colour to grey": 3}


def test_a_stray_image_is_named_by_the_data_and_by_whoever_needs_labels(pets: Path) -> None:
    write_png(pets / "sheet.png", torch.zeros(3, 8, 8))
    data = folder(pets, 8)
    intake, line = data.remarks()
    assert intake == f"{pets.name}: 4 images" and "has no labels: sheet.png lies beside the folders cat, dog" in line
    assert list(folder(pets, 4, labels=False).remarks()) == [f"{pets.name}: 4 images; 4 reduced or cut to size"]
    spec = {"type": "classifier", "size": 8, "width": 4, "channels": 3, "classes": 2}
    for system in ({"type": "classifier_training", "classifier": spec}, conditional_gan()):
        with pytest.raises(RecipeError, match=r"but the data have 0: sheet\.png lies beside"):
            build(system, kind="systems").check_data(data.sample_shape, data.conditions)
    part = build({"type": "part", "data": {"type": "folder", "path": str(pets), "size": 4}, "stop": 2}, kind="data")
    assert "sheet.png" in part.conditions.absent


def conditional_gan() -> dict:
    shape = {"size": 8, "channels": 3, "width": 4}
    network = {"type": "resnet_generator", "latent_dim": 2, **shape, "classes": 2}
    critic = {"type": "resnet_critic", **shape, "classes": 2}
    return {
        "type": "gan_training",
        "generator": {"type": "gan", "network": network},
        "critic": critic,
        "objective": {"type": "hinge"},
        "rule": {"type": "ascent"},
    }


def test_conversions_are_remarked(pets: Path) -> None:
    (line,) = folder(pets, 4, channels=1).remarks()
    assert line.endswith(": 3 images; converted: 3 colour to grey; 3 reduced or cut to size")
    assert list(folder(pets, 4).remarks()) == [f"{pets.name}: 3 images; 3 reduced or cut to size"]


def test_a_zip_in_a_folder_is_not_passed_over_in_silence(pets: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    tmp_path = tmp_path_factory.mktemp("zipped")
    shutil.make_archive(str(tmp_path / "more"), "zip", pets)
    shutil.copy(tmp_path / "more.zip", pets / "more.zip")
    assert f"{pets.name}: more.zip is not looked into: give a zip by itself, or unpack it" in folder(pets, 4).remarks()
    (tmp_path / "alone").mkdir()
    shutil.copy(tmp_path / "more.zip", tmp_path / "alone/more.zip")
    with pytest.raises(DataError, match=r"holds no images .*; more\.zip is not looked into, give it by itself"):
        folder(tmp_path / "alone", 4)


def test_pictures_of_other_kinds_are_not_passed_over_in_silence(
    pets: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    for name in ("b.HEIC", "a.heic", "film.mov", "notes.txt", ".hidden.heic"):
        (pets / name).write_bytes(b"")
    line = "not read: 2 .heic, 1 .mov (a.heic, ...); save pictures as JPEG or PNG"
    data = folder(pets, 4)
    assert f"{pets.name}: {line}" in data.remarks()
    write_files_table(pets / "files.csv", data)
    written = (pets / "files.csv").read_text()
    assert "b.HEIC,left out,a kind of file that is not read" in written and "notes" not in written
    only = tmp_path_factory.mktemp("only")
    (only / "a.avif").write_bytes(b"")
    with pytest.raises(DataError, match=r"holds no images .*; not read: 1 \.avif \(a\.avif\); save pictures as"):
        folder(only, 4)


def test_jpegs_of_browsers_are_read(pets: Path) -> None:
    (pets / "cat/0.png").rename(pets / "cat/0.jfif")
    assert len(folder(pets, 4)) == 3


def test_too_small_images_are_named_with_what_to_do(pets: Path) -> None:
    with pytest.raises(DataError, match=r"cat/0\.png: 8 x 8 pixels are smaller than size 9; choose a smaller size"):
        folder(pets, 9)


def test_too_small_images_are_enlarged_where_that_is_asked_for(pets: Path) -> None:
    found = folder(pets, 9, enlarge=True)
    assert found.x.shape == (3, 3, 9, 9) and found.report is not None
    assert found.report.converted["enlarged"] == 3
    assert folder(pets, 8, enlarge=True).report.converted["enlarged"] == 0  # type: ignore[union-attr]


def test_nothing_usable_at_all(pets: Path) -> None:
    with pytest.raises(DataError, match="none of 3 images can be used: 0 of 3 images; left out: 3"):
        folder(pets, 9, skip_bad=True)


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"size": 0}, "^size: "),
        ({"channels": 2}, "^channels: "),
        ({"crop": "left"}, "^crop: "),
        ({"skip_bad": "ignore"}, "^skip_bad: "),
        ({"labels": 3}, "^labels: "),
        ({"path": "/not/here"}, "does not exist"),
        ({"sizes": 3}, "^sizes: unknown key; did you mean 'size'"),
    ],
)
def test_wrong_arguments_are_one_line(pets: Path, wrong: dict, reason: str) -> None:
    with pytest.raises((RecipeError, DataError), match=reason) as caught:
        build({"type": "folder", "path": str(pets), "size": 4, **wrong}, kind="data")
    assert "\n" not in str(caught.value)


@pytest.mark.slow
def test_shared_cifar10_zip() -> None:
    data = folder(shared("data", "CIFAR10-jpeg", "train.zip"), 32)
    assert data.x.shape == (50_000, 3, 32, 32)
    assert data.labels is not None and torch.equal(data.labels.bincount(), torch.full((10,), 5000))
