"""Solar cells photographed by their electroluminescence, from the wheel `elpv-dataset` or a copy of its repository."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from genkit.core.columns.values import Values
from genkit.core.errors import DataError
from genkit.core.progress import Progress
from genkit.data.dataset import DataSet
from genkit.data.folder import folder

PACKAGE, TABLE, IMAGES = "elpv_dataset", "labels.csv", "images"
CLASSES: Mapping[str, tuple[str, str]] = {"defect": ("functional", "defective"), "type": ("mono", "poly")}
LIKELY = 0.5
BLOCK, BLOCKS = 40, 4
"""Cells that follow each other, mostly of one module, are on one side of the split; of every four blocks one tests."""
PROBABILITY = Values(0, 1)


def solar_cells(
    split: Literal["train", "test", "all"] = "train",
    size: Annotated[int, Field(ge=1, le=300)] = 64,
    label: Literal["defect", "type"] = "defect",
    root: Path | None = None,
    *,
    progress: Progress | None = None,
) -> DataSet:
    """Electroluminescence of 2,624 solar cells, grey, 300 x 300 (Buerhop-Lutz et al. 2018; Deitsch et al. 2019).

    The attribute `defect_probability` is how sure experts were of a defect: 0, 1/3, 2/3 or 1. The images may be shared
    for other than commercial ends alone (CC BY-NC-SA 4.0), and so may what is made of them.

    Args:
        split: three quarters of the cells to train, in blocks of neighbours, the others to test.
        size: reduced to this by an antialiased filter.
        label: "defect", where the probability of one is over 1/2, or "type", mono- or polycrystalline.
        root: folder with labels.csv and images; where the installed package keeps them if not said.

    Raises:
        DataError: neither is there, or the table cannot be read.
    """
    root = root or _installed()
    known = _table(root / TABLE)
    data = folder(root / IMAGES, size, channels=1, labels=False, progress=progress)
    if missing := [name for name in data.files if name not in known]:
        raise DataError(f"solar_cells: {root / TABLE} has no line for {missing[0]}")
    probability = torch.tensor([known[name][0] for name in data.files])
    classes = CLASSES[label]
    truth = probability > LIKELY if label == "defect" else torch.tensor([known[n][1] == classes[1] for n in data.files])
    named = replace(
        data,
        labels=truth.long(),
        classes=classes,
        attributes={"defect_probability": probability},
        columns={"defect_probability": PROBABILITY},
    )
    return named.taken(f"solar_cells/{split}", _rows(len(named), split))


def _rows(n: int, split: str) -> Tensor:
    index = torch.arange(n)
    tests = index // BLOCK % BLOCKS == BLOCKS - 1
    return index if split == "all" else index[tests == (split == "test")]


def _installed() -> Path:
    """The folder of data in the installed package, which is not imported."""
    found = find_spec(PACKAGE)
    places = list(found.submodule_search_locations or ()) if found else []
    if not places:
        raise DataError(
            "solar_cells: the images are not here; pip install elpv-dataset (2,624 images, CC BY-NC-SA 4.0), or give "
            f"root: a folder with {TABLE} and {IMAGES}"
        )
    return Path(places[0]) / "data"


def _table(path: Path) -> dict[str, tuple[float, str]]:
    """File name -> (probability of a defect, type)."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            lines = [line for line in csv.reader(file, delimiter=" ", skipinitialspace=True) if line]
        found = {Path(name).name: (float(probability), kind) for name, probability, kind, *_ in lines}
    except (OSError, ValueError) as damage:
        raise DataError(f"solar_cells: {path} cannot be read; lines of PATH PROBABILITY TYPE are wanted") from damage
    if not found or any(not 0 <= p <= 1 or kind not in CLASSES["type"] for p, kind in found.values()):
        raise DataError(f"solar_cells: {path} is no table of cells; lines of PATH PROBABILITY mono|poly are wanted")
    return found
