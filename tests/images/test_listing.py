from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from genkit.core.errors import DataError
from genkit.images.image_files import ImageFiles
from genkit.images.listing import class_folders
from genkit.images.pixels import png_bytes
from tests.images.test_image_files import picture


def zipped(path: Path, *names: str) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(zipfile.ZipInfo(name), png_bytes(picture(0)))
    return path


def test_backslashes_in_a_zip_separate_folders(tmp_path: Path) -> None:
    names = [
        "set\\cats\\0.png",
        "set\\dogs\\0.png",
        "set/dogs/1.png",
        "set\\__MACOSX\\cats\\._0.png",
        "set\\cats\\._0.png",
    ]
    files = ImageFiles(zipped(tmp_path / "windows.zip", *names, "set\\", "set\\cats\\"))
    assert files.names == ["set/cats/0.png", "set/dogs/0.png", "set/dogs/1.png"]
    assert files.classes == ("cats", "dogs") and files.labels == [0, 1, 1]
    assert len(list(files.decode_all())) == 3


@pytest.mark.parametrize(("parts", "taken"), [(("train", "val"), 0), (("Train", "TEST"), 0), (("train", "car"), 2)])
def test_parts_of_a_data_set_are_no_classes(parts: tuple[str, ...], taken: int) -> None:
    found = class_folders([f"{part}/{kind}/{k}.png" for part in parts for kind in ("cat", "dog") for k in range(2)])
    assert len(found.names) == taken and (found.labels is None) == (not taken)
    assert ("named like parts of a data set" in found.stray) == (not taken)
    assert class_folders(["train/cat/0.png", "train/dog/0.png"]).names == ("cat", "dog")


def test_a_zip_without_its_end_is_told_from_what_is_no_zip(tmp_path: Path) -> None:
    whole = zipped(tmp_path / "whole.zip", "a.png", "b.png").read_bytes()
    (tmp_path / "half.zip").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.zip").write_text("not one at all")
    for name, reason in (
        ("half", "its end is missing, as after a download that broke off"),
        ("text", "not a zip file"),
    ):
        with pytest.raises(DataError, match=reason):
            ImageFiles(tmp_path / f"{name}.zip")


def test_parts_of_a_zip_that_lead_nowhere_are_left_out(tmp_path: Path) -> None:
    """As `zip -r x.zip ./cats` of some tools writes them."""
    names = ["./cats/0.png", ".//dogs/./0.png", "dogs//1.png", ".\\dogs\\2.png", "./.hidden/0.png"]
    files = ImageFiles(zipped(tmp_path / "dots.zip", *names, "./", ".", "./cats/", "cats/."))
    plain = ["cats/0.png", "dogs/0.png", "dogs/1.png", "dogs/2.png"]
    assert files.names == plain and files.classes == ("cats", "dogs")
    assert len(list(files.decode_all())) == 4
    assert files.fingerprint == ImageFiles(zipped(tmp_path / "plain.zip", *plain)).fingerprint


@pytest.mark.parametrize(
    "name", ["./../evil.png", "a/./../../evil.png", ".//..//evil.png", "./C:/evil.png", "//evil.png"]
)
def test_such_parts_hide_no_way_out_of_a_zip(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match=r"this member leaves"):
        ImageFiles(zipped(tmp_path / "x.zip", "good.png", name))


@pytest.mark.parametrize("name", ["a\\..\\..\\evil.png", "\\evil.png", "a/..\\evil.png", "\\\\host\\evil.png"])
def test_backslashes_do_not_lead_out_of_a_zip(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match=r"this member leaves"):
        ImageFiles(zipped(tmp_path / "x.zip", "good.png", name))


@pytest.mark.parametrize(
    ("folders", "order"),
    [
        (["0", "1", "10", "11", "2"], ("0", "1", "2", "10", "11")),
        (["10", "2", "01", "1"], ("01", "1", "2", "10")),
        (["-1", "1", "0"], ("-1", "0", "1")),
        (["10", "2", "cat"], ("10", "2", "cat")),
        (["10", "9" * 5000], ("10", "9" * 5000)),
        (["b", "B", "ä", "a"], ("B", "a", "b", "ä")),
    ],
)
def test_classes_are_in_the_order_of_their_numbers_or_code_points(folders: list[str], order: tuple[str, ...]) -> None:
    found = class_folders([f"{folder}/x.png" for folder in folders])
    assert found.names == order
    assert found.labels == [order.index(folder) for folder in folders] and not found.stray


def test_the_image_that_keeps_folders_from_being_classes_is_named() -> None:
    found = class_folders(["top/cats/0.png", "top/dogs/0.png", "top/stray.png"])
    assert found.names == () and found.labels is None
    assert found.stray.startswith("top/stray.png lies beside the folders cats, dogs, so these are not")
    assert "move such images into a class folder or remove them" in found.stray
    several = class_folders(["a.png", "b.png", "cats/0.png", "dogs/0.png"]).stray
    assert several.startswith("a.png and 1 more images lie beside")
    assert class_folders(["a.png", "set/cats/0.png", "set/dogs/0.png"]).stray.startswith("a.png lies beside")
    assert class_folders(["a.png", "set/b.png", "set/cats/0.png", "set/dogs/0.png"]).stray.startswith("set/b.png lies")


@pytest.mark.parametrize("names", [["a.png", "b.png"], ["a.png", "more/b.png"], ["x/a.png", "x/more/b.png"]])
def test_images_without_class_folders_are_nothing_to_remark(names: list[str]) -> None:
    assert class_folders(names) == ((), None, "")
