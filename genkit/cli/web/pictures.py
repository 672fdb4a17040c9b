"""Pictures of the page: samples, the way between two seeds, variations of an image and its scores.

Each equals the picture that a command of genkit writes.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock, Thread
from typing import TYPE_CHECKING, Any

import torch

from genkit.cli.web.wishes import BATCH, Wishes
from genkit.core.errors import GenkitError
from genkit.core.generator import Density, Generator, LatentGenerator
from genkit.core.progress import Progress
from genkit.core.scores_images import ScoresImages
from genkit.images import pixels
from genkit.images.grid import grid

if TYPE_CHECKING:
    from torch import Tensor

KEPT = 4
"""Generators that are held in memory."""


@dataclass(frozen=True)
class PagePicture:
    """A picture.

    Attributes:
        png: the file.
        about: a line about it.
        command: that makes the same picture; empty for none.
    """

    png: bytes
    about: str
    command: str = ""


def opened(place: str) -> Generator:
    """The generator of weights or a run, read again once its files have changed.

    Raises:
        WeightsError: there is none.
    """
    with _OPENING:
        return _opened(place, _age(place))


_OPENING = Lock()


@lru_cache(maxsize=KEPT)
def _opened(place: str, age: float) -> Generator:
    from genkit.cli.places import loaded

    found: Generator = loaded(Generator, place)
    return found


def prepare(places: Iterable[str]) -> None:
    """Opens weights one after the other in a thread, so that their code is there when somebody chooses them."""

    def run() -> None:
        for place in places:
            with suppress(GenkitError):
                opened(place)

    Thread(target=run, daemon=True).start()


def _age(place: str) -> float:
    """Seconds since 1970 at which its folders were last written to; 0 for shipped weights."""
    folders = (Path(place), Path(place) / "weights", Path(place) / "checkpoints")
    return max((os.stat(folder).st_mtime for folder in folders if folder.is_dir()), default=0.0)


def samples(place: str, wishes: Wishes, progress: Progress | None = None) -> PagePicture:
    """The picture that `genkit sample --grid` writes."""
    from genkit.cli.sample_files import counted
    from genkit.core.display import rows_watched

    generator = wishes.generator(opened(place))
    wanted = wishes.rows(generator, wishes.n)
    rng = torch.Generator().manual_seed(wishes.seed)
    batches = generator.stream(wishes.n, BATCH, condition=wanted.rows, rng=rng)
    with rows_watched(progress or _silence, generator, wishes.n, BATCH) as rows:
        drawn = torch.cat(list(counted(batches, wishes.n, rows)))
    words = ", ".join([f"seed {wishes.seed}", *wishes.words(wanted), *generator.remarks()])
    return PagePicture(_png(drawn, place, wanted.columns), f"{wishes.n} samples, {words}", wishes.command(place))


def interpolation(place: str, wishes: Wishes, last: int, n: int) -> PagePicture:
    """n samples from the one that the seed of `wishes` gives to the one of the seed `last`."""
    from genkit.cli.way import one_of_each
    from genkit.posthoc.between import between

    generator = wishes.generator(opened(place))
    assert isinstance(generator, LatentGenerator)
    wanted = wishes.rows(generator, n)
    made = between(generator, (wishes.seed, last), n, one_of_each(wanted))
    words = ", ".join([f"{n} samples from seed {wishes.seed} to seed {last}", *wishes.words(wanted)])
    return PagePicture(_png(made, place, len(made)), words, replace(wishes, n=n).command(place, last))


def joins(generator: Generator) -> bool:
    """Whether there is a way between two samples."""
    return isinstance(generator, LatentGenerator)


def varies(generator: Generator) -> bool:
    """Whether images can be varied, as genkit edit does."""
    from genkit.cli.given_images import takes_images

    return takes_images(generator)


def scores(generator: Generator) -> bool:
    """Whether it says how unusual an image is."""
    return isinstance(generator, (ScoresImages, Density)) and len(generator.sample_shape) == 3


def edits(place: str, images: Sequence[str], n: int, seed: int) -> PagePicture:
    """The picture that `genkit edit WEIGHTS IMAGE [IMAGE] --grid` writes."""
    from genkit.cli.given_images import beside_given, edited, given_images

    generator: Any = opened(place)
    given = given_images(generator, [Path(image) for image in images], "edit")
    rng = torch.Generator().manual_seed(seed)
    made = torch.cat([batch.cpu() for batch in edited(generator, given, n, BATCH, rng)])
    names = " ".join("IMAGE" for _ in images)
    command = f"genkit edit {place} {names} -n {n} --seed {seed} --out edited --grid"
    what = "variations" if len(images) == 1 else "images from the one to the other"
    return PagePicture(pixels.png_bytes(beside_given(given, made)), f"{n} {what}, seed {seed}", command)


def score_of(place: str, image: str, seed: int) -> dict[str, float]:
    """The row that `genkit score-images` writes for an image: scores by name, `outlier_score` the last."""
    from genkit.evaluation.image_scores import image_scores

    with TemporaryDirectory() as folder:
        copy = Path(folder) / Path(image).name
        copy.write_bytes(Path(image).read_bytes())
        _, found = image_scores(opened(place), folder, seed)
    return {name: float(values[0]) for name, values in found.items()}


def _png(made: Tensor, place: str, columns: int | None = None) -> bytes:
    """Images as a grid; points in the plane, and where `place` is a run its data beside them."""
    from genkit.cli.sample_files import trained_on
    from genkit.images.scatter import points_png

    if made.dim() == 4:
        return pixels.png_bytes(grid(made, columns))
    if made.shape[1] != 2:
        raise GenkitError(f"points of {made.shape[1]} numbers have no picture; genkit sample writes them to a file")
    return points_png(made, data=trained_on(place, len(made)))


def _silence(done: int, total: int) -> None:
    return None
