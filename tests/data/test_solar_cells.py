from __future__ import annotations

from pathlib import Path

import pytest
import torch

from genkit.core.errors import DataError
from genkit.data import solar_cells as module
from genkit.data.solar_cells import solar_cells
from genkit.images.pixels import write_folder

N = 330
PROBABILITIES = ("0.0", "0.3333333333333333", "0.6666666666666666", "1.0")


def made(folder: Path) -> Path:
    """A copy in the layout of the package: cell k is as bright as k, likely defective by k % 4, poly in every third."""
    pixels = (torch.arange(N) % 256).to(torch.uint8).view(N, 1, 1, 1).expand(N, 1, 8, 8)
    write_folder([pixels], folder / "images")
    lines = [f"images/{k:06d}.png  {PROBABILITIES[k % 4]:<20} {'poly' if k % 3 == 0 else 'mono'}" for k in range(N)]
    (folder / "labels.csv").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tmp_path_factory.mktemp("cells"))


def test_labels_are_of_the_table(root: Path) -> None:
    data, kind = solar_cells("all", 8, root=root), solar_cells("all", 8, "type", root)
    k = data.x[:, 0, 0, 0].long()
    assert len(data) == N and data.sample_shape == (1, 8, 8) and k.equal(torch.arange(N) % 256)
    assert data.classes == ("functional", "defective") and kind.classes == ("mono", "poly")
    number = torch.arange(N)
    assert data.labels is not None and data.labels.equal((number % 4 >= 2).long())
    assert kind.labels is not None and kind.labels.equal((number % 3 == 0).long())
    torch.testing.assert_close(data.attributes["defect_probability"], (number % 4) / 3)


def test_neighbours_are_on_one_side_of_the_split(root: Path) -> None:
    train, test = solar_cells("train", 8, root=root), solar_cells("test", 8, root=root)
    assert (train.name, test.name) == ("solar_cells/train", "solar_cells/test")
    every = sorted((*train.files, *test.files))
    assert len(every) == len(set(every)) == N
    tests = [int(Path(name).stem) for name in test.files]
    assert tests == [*range(120, 160), *range(280, 320)]


def test_the_installed_package_is_found_and_not_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "installed_cells"
    made(package / "data")
    (package / "__init__.py").write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(module, "PACKAGE", "installed_cells")
    assert len(solar_cells("all", 8)) == N
    monkeypatch.setattr(module, "PACKAGE", "no_such_cells")
    with pytest.raises(DataError, match="pip install elpv-dataset"):
        solar_cells()


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        (None, "cannot be read; lines of PATH PROBABILITY TYPE are wanted"),
        ("images/000000.png likely mono\n", "cannot be read"),
        ("images/000000.png 1.0\n", "cannot be read"),
        ("", "is no table of cells"),
        ("images/000000.png 2.0 mono\n", "is no table of cells"),
        ("images/000000.png 1.0 round\n", "is no table of cells"),
        ("images/000000.png 1.0 mono\n", "has no line for 000001.png"),
    ],
)
def test_a_table_that_cannot_be_read_is_refused(root: Path, tmp_path: Path, table: str | None, reason: str) -> None:
    (tmp_path / "images").symlink_to(root / "images")
    if table is not None:
        (tmp_path / "labels.csv").write_text(table)
    with pytest.raises(DataError, match=reason) as refusal:
        solar_cells(root=tmp_path, size=8)
    assert "\n" not in str(refusal.value)
