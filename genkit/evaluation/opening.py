"""Sides of a comparison by their names: checked at once, opened when it is their turn."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from genkit.core.catalog import build, check, shipped
from genkit.core.computing import computing
from genkit.core.documents import is_spec
from genkit.core.errors import EvaluationError, kind_of, shown, suggest, suggest_file
from genkit.core.files import at_home
from genkit.core.generator import Generator
from genkit.core.location import CONFIG, RECIPE
from genkit.core.table import CATALOG
from genkit.evaluation.clean_fid import PREFIX, CleanFidStatistics
from genkit.evaluation.points_file import points_file
from genkit.evaluation.possible import Wanted
from genkit.evaluation.real_data import find_name
from genkit.evaluation.sources import Source, of_batches, of_data_set, of_files, of_generator, of_points
from genkit.evaluation.statistics_file import Statistics
from genkit.images.image_files import ImageFiles


def open_source(what: Any, role: str, skip_bad: bool = False) -> Source | Statistics:
    """Opens anything that can be scored: a Generator, a DataSet, batches, statistics, a path, a data-set name or spec.

    Args:
        what: a path may be a folder or zip of images, points in an `.npy` file or a folder with points.npy, `.npz`
            statistics, a weights folder or a run folder. Data sets are named as in `read_name`.
            `clean-fid:cifar10/train` are statistics that clean-fid publishes, see `CleanFidStatistics`. Batches are
            uint8, or floats in [-1, 1]; pairs with labels, as a DataLoader gives them, are accepted.
        role: for messages.
        skip_bad: of folders and zips, leave out files that cannot be used.

    Raises:
        EvaluationError: none of these.
        DataError, WeightsError, RecipeError: of the kind that it is.
    """
    return opening(what, role, skip_bad).open()


def open_sides(sides: Sequence[tuple[Any, str]], skip_bad: bool, wanted: Wanted) -> list[Source | Statistics]:
    """(what, role) of each as `open_source` opens them; all are checked first, then the cheapest is opened first.

    Args:
        wanted: narrowed by what is known of a side before it is opened, and once it is open, so that it can refuse
            before the next one is.
    """
    openings = [opening(what, role, skip_bad) for what, role in sides]
    for name in filter(None, (found.statistics for found in openings)):
        wanted.of_statistics(name)
    opened: dict[int, Source | Statistics] = {}
    for i in sorted(range(len(openings)), key=lambda i: openings[i].cost):
        opened[i] = openings[i].open()
        wanted.of(opened[i])
    return [opened[i] for i in range(len(openings))]


def opening(what: Any, role: str, skip_bad: bool = False) -> Opening:
    """A checked opener of `what`; raises as `open_source`, as far as possible without opening it."""
    if isinstance(what, (str, Path)):
        return _opening(str(what), role, skip_bad)
    if isinstance(what, Mapping):
        return _of_spec(what, role)
    source = _of_object(what, role)
    return Opening(0, lambda: source)


def _of_object(what: Any, role: str) -> Source | Statistics:
    if isinstance(what, (Source, Statistics)):
        return what
    if isinstance(what, Generator):
        return of_generator(what, type(what).__name__)
    if all(hasattr(what, name) for name in ("x", "rows", "fingerprint", "sample_shape")):
        return of_data_set(what)
    if isinstance(what, (Tensor, np.ndarray)):
        return of_batches([torch.as_tensor(what)], f"tensor {tuple(what.shape)}")
    if isinstance(what, Iterable):
        return of_batches(what, type(what).__name__)
    raise EvaluationError(
        f"{role}: {kind_of(what)} cannot be scored; accepted: a Generator, a data set, batches of images, "
        "a path or the name of a data set"
    )


@dataclass(frozen=True)
class Opening:
    """A side whose name has been checked and that is not yet opened.

    Attributes:
        cost: of opening it: 0 reads little, 1 loads weights, 2 may decode or download a data set.
        open: opens it.
        statistics: the name of published statistics, whose file may have to be downloaded; "" for all else.
    """

    cost: int
    open: Callable[[], Source | Statistics]
    statistics: str = ""

    @property
    def makes_samples(self) -> bool:
        """Whether it is of weights, whose samples are drawn when they are read."""
        return self.cost == 1 and not self.statistics


def _opening(text: str, role: str, skip_bad: bool) -> Opening:
    """Checks a path or name as far as possible without opening it."""
    text = at_home(text)
    path = Path(text)
    if is_spec(text):
        return _named(text, role, skip_bad)
    if text.startswith(PREFIX):
        published = CleanFidStatistics.named(text, role)
        return Opening(1, published.read, published.name)
    if path.suffix == ".npz" and path.is_file():
        return Opening(0, lambda: Statistics.load(path))
    if any((folder / name).is_file() for folder in (path, path / "weights") for name in (CONFIG, RECIPE)):
        return Opening(1, lambda: _of_weights(text))
    if points := points_file(path):
        return Opening(0, partial(of_points, points, text))
    if not path.exists() and (shipped("weights") / text / CONFIG).is_file():
        return Opening(1, lambda: _of_weights(text))
    return _named(text, role, skip_bad)


def _named(text: str, role: str, skip_bad: bool) -> Opening:
    name = find_name(text, role)
    if name is None:
        weights = (path.parent.name for path in shipped("weights").glob(f"*/{CONFIG}"))
        near = suggest_file(text) or suggest(text, [*CATALOG["data"], *weights])
        raise EvaluationError(f"{role}: no file, folder, weights or data set {shown(text)}{near}")
    return _of_spec(name, role) if isinstance(name, dict) else Opening(0, lambda: of_files(ImageFiles(name), skip_bad))


def _of_spec(spec: Mapping[str, Any], role: str) -> Opening:
    check(spec, kind="data", where=role)
    return Opening(2, lambda: of_data_set(build(spec, kind="data", where=role)))


def _of_weights(text: str) -> Source:
    generator = Generator.from_pretrained(text)
    return of_generator(computing().ready(generator), text)
