from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
import torch

from genkit.core.catalog import build
from genkit.core.columns.labels import Labels
from genkit.core.columns.values import Values
from genkit.core.errors import DataError
from genkit.data.attributes_file import read_attributes
from genkit.data.folder import folder
from genkit.images.pixels import write_png
from tests.cli.console import refusal

CSV = """file,age,mood,hue
b.png, 30 ,sad,0.5
a.png,20.5,glad,0.25

sub/c.png,1e1,"sad",0.75
"""
NAMES = ["a.png", "b.png", "sub/c.png"]


@pytest.fixture
def faces(tmp_path: Path) -> Path:
    for value, name in enumerate(NAMES):
        write_png(tmp_path / "faces" / name, torch.full((3, 8, 8), 50 * value, dtype=torch.uint8))
    (tmp_path / "known.csv").write_text(CSV)
    return tmp_path / "faces"


def known(faces: Path, text: str | None = None) -> Path:
    path = faces.parent / "known.csv"
    if text is not None:
        path.write_text(text)
    return path


def test_numbers_become_values_and_texts_become_classes(faces: Path) -> None:
    found = read_attributes(known(faces), NAMES)
    assert found.rows["age"].tolist() == [20.5, 30, 10] and found.rows["mood"].tolist() == [0, 1, 1]
    age, mood = found.columns["age"], found.columns["mood"]
    assert isinstance(age, Values) and (age.low, age.high, age.cyclic) == (10, 30, False)
    assert isinstance(mood, Labels) and mood.names == ("glad", "sad") and found.unused == 0


def test_what_a_column_is_may_be_said(faces: Path) -> None:
    columns = {"hue": Values(0, 1, cyclic=True), "mood": Labels(3, ["sad", "bored", "glad"])}
    found = read_attributes(known(faces), NAMES, columns)
    assert found.columns["hue"] is columns["hue"] and found.rows["mood"].tolist() == [2, 0, 0]
    mixed = known(faces, "file,size\na.png,38\nb.png,40\nsub/c.png,XL\n")
    assert read_attributes(mixed, NAMES, {"size": Labels(3, ["38", "40", "XL"])}).rows["size"].tolist() == [0, 1, 2]


@pytest.mark.parametrize("kind", ["folder", "zip"])
def test_a_folder_or_zip_has_them_by_image(faces: Path, kind: str) -> None:
    path = faces
    if kind == "zip":
        path = faces.parent / "faces.zip"
        with zipfile.ZipFile(path, "w") as archive:
            for name in NAMES:
                archive.write(faces / name, name)
    hue = {"hue": {"type": "values", "low": 0, "high": 1, "cyclic": True}}
    spec = {"type": "folder", "path": str(path), "size": 4, "attributes": str(known(faces)), "columns": hue}
    data = build(spec, kind="data")
    assert data.attributes["age"].tolist() == [20.5, 30, 10] and data.x[:, 0, 0, 0].tolist() == [0, 50, 100]
    assert list(data.conditions) == ["age", "mood", "hue"] and data.conditions["hue"].cyclic
    assert data.condition(torch.tensor([2]))["age"].tolist() == [10]


def test_other_attributes_are_seen_though_the_pixels_are_kept(faces: Path) -> None:
    before = folder(faces, 4, attributes=known(faces))
    after = folder(faces, 4, attributes=known(faces, CSV.replace("20.5", "21.5")))
    assert after.attributes["age"][0] == 21.5 and after.x.equal(before.x)
    assert len({before.fingerprint, after.fingerprint, folder(faces, 4).fingerprint}) == 3


def test_attributes_stay_with_their_images_when_one_is_skipped(faces: Path) -> None:
    (faces / "a.png").write_bytes(b"")
    data = folder(faces, 4, attributes=known(faces), skip_bad=True)
    assert data.attributes["age"].tolist() == [30, 10] and data.attributes["mood"].tolist() == [1, 1]


def test_lines_of_no_image_are_told(faces: Path) -> None:
    data = folder(faces, 4, attributes=known(faces, CSV + "gone.png,1,sad,0.1\n"))
    assert any(line.endswith("known.csv: 1 lines are of no image") for line in data.remarks())
    assert data.conditions["age"].low == 10, "nor do they count"


def test_names_that_look_alike_are_one_name(faces: Path) -> None:
    """A folder from macOS writes ü as two characters, a table by hand as one."""
    text = CSV.replace("a.png", "gr\u00fcn.png")
    found = read_attributes(known(faces, text), ["gru\u0308n.png", *NAMES[1:]])
    assert found.rows["age"].tolist() == [20.5, 30, 10] and found.unused == 0
    with pytest.raises(DataError, match=r"line 6: gru\u0308n\.png has a line already"):
        read_attributes(known(faces, text + "gru\u0308n.png,1,sad,0.1\n"), NAMES[1:])


def test_a_column_called_label_is_the_labels(faces: Path) -> None:
    data = folder(faces, 4, attributes=known(faces, CSV.replace("mood", "label")))
    assert data.classes == ("glad", "sad") and data.labels is not None and data.labels.tolist() == [0, 1, 1]
    assert list(data.conditions) == ["label", "age", "hue"]
    assert "label" not in folder(faces, 4, attributes=known(faces), labels=False).conditions
    with pytest.raises(DataError, match="the attribute label has numbers; give names, or columns"):
        folder(faces, 4, attributes=known(faces, CSV.replace("age", "label")))


def test_columns_of_nothing_are_refused(faces: Path) -> None:
    with pytest.raises(DataError, match="columns say what attributes are, and there are none"):
        folder(faces, 4, columns={"hue": Values(0, 1)})


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("b.png", "B.png", r"no line is of b\.png \(1 of 3 images are missing\)"),
        ("b.png", "a.png", r"line 3: a\.png has a line already"),
        ("20.5", "nan", r"line 3: 'age' of a\.png is 'nan'; give a value"),
        ("20.5", "", r"line 3: 'age' of a\.png is ''; give a value"),
        ("20.5", "NA", r"'age' is a number of some images and 'NA' of others; .*columns: \{age: \{type: labels"),
        (CSV, CSV.replace("\na", "\n./a").replace("\nb", "\n./b"), r"a\.png \(2 of 3 images are missing\)"),
        (CSV, "file,age\n./a.png,3", r"no line is of a\.png \(3 of 3 images are missing; a line is of \./a\.png\)"),
        ("20.5", "inf", "'age' goes from 10 to inf; its numbers must be finite"),
        ("0.75", "0.75,1", "line 5: 5 values under 4 columns"),
        ("mood", "age", "two columns are called 'age'"),
        ("mood", "", "a column has no name"),
        (CSV, "", "needs a header"),
        (CSV, "file\na.png", "needs a header"),
        (CSV, '"', "cannot be read as CSV"),
        (CSV, "file,age\n" + "".join(f"{name},3\n" for name in NAMES), "'age' is '3' of all images"),
        (
            CSV,
            "file,age\n" + "".join(f"{n},{v}\n" for n, v in zip(NAMES, ["3", "3.0", "3"], strict=True)),
            "from 3 to 3",
        ),
    ],
)
def test_a_table_that_does_not_fit_is_refused(faces: Path, old: str, new: str, message: str) -> None:
    with pytest.raises(DataError, match=f"known.csv.*{message}"):
        read_attributes(known(faces, CSV.replace(old, new, 1)), NAMES)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"ages": Values(0, 1)}, "no column is called 'ages'; did you mean 'age'"),
        ({"age": Values(0, 25)}, "known.csv: condition 'age' takes numbers from 0 to 25; got 30"),
        ({"mood": Labels(2, ["sad", "bored"])}, "no class is called 'glad'"),
    ],
)
def test_columns_that_do_not_fit_are_refused(faces: Path, columns, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_attributes(known(faces), NAMES, columns)


def test_a_missing_table_is_one_line(faces: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = f"{{type: folder, path: {faces}, size: 8, attributes: {tmp_path}/none.csv}}"
    line = refusal(capsys, "evaluate", spec, "--against", spec, "--metrics", "kd", "-n", 2)
    assert line.endswith("none.csv does not exist")
    with pytest.raises(DataError, match="cannot be read as CSV"):
        read_attributes(tmp_path, NAMES)
