"""files.csv: every file by name, with what became of it."""

from __future__ import annotations

import csv
from pathlib import Path

import torch

from genkit.data.digits import digits
from genkit.data.folder import folder
from genkit.images.pixels import write_png
from genkit.training.files_table import write_files_table


def test_every_file_has_a_row(tmp_path: Path) -> None:
    pets = tmp_path / "pets"
    for name, channels, size in (("a.png", 3, 8), ("b.png", 1, 4), ("d.png", 3, 4)):
        write_png(pets / name, torch.zeros(channels, size, size))
    (pets / "c.png").write_text("no image")
    for _ in range(2):  # decoded, and from the cache
        assert write_files_table(tmp_path / "files.csv", folder(pets, 8, enlarge=True, skip_bad=True))
        rows = list(csv.reader((tmp_path / "files.csv").open()))
        assert rows[0] == ["file", "outcome", "why"] and rows[1] == ["a.png", "taken", ""]
        assert rows[2] == ["b.png", "converted", "grey to colour, enlarged"] and rows[4][1:] == [
            "converted",
            "enlarged",
        ]
        assert rows[3][:2] == ["c.png", "left out"] and rows[3][2].startswith("not an image")


def test_data_of_no_files_have_none(tmp_path: Path) -> None:
    assert not write_files_table(tmp_path / "files.csv", digits()) and not (tmp_path / "files.csv").exists()
