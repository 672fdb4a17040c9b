"""genkit sample --to-seed: the way from one sample to another, image by image."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from genkit.cli.conditions import AskedConditions
from genkit.cli.given_images import STRIP
from genkit.cli.sample_files import write_samples
from genkit.core.errors import GenkitError, kind_of

MOST = 10_000
"""Images of a way, which are held together."""

if TYPE_CHECKING:
    from torch import Tensor

    from genkit.core.generator import Generator


def write_way(
    generator: Generator,
    seeds: tuple[int, int],
    n: int,
    wanted: AskedConditions,
    out: Path,
    grid: bool,
    weights: str,
    about: str,
) -> None:
    """Writes n samples from the first of one seed to the first of the other; with `grid` a strip of them, too.

    Raises:
        GenkitError: no latent to go through, conditions in turn, or n below 2.
    """
    from genkit.core.generator import LatentGenerator
    from genkit.posthoc.between import between

    if not isinstance(generator, LatentGenerator):
        raise GenkitError(f"--to-seed goes through the latent of a generator, which {kind_of(generator)} does not have")
    if n > MOST:
        raise GenkitError(f"-n {n:,}: a way has at most {MOST:,} images")
    made = between(generator, seeds, n, one_of_each(wanted))
    write_samples(iter([made]), n, n, generator, out, grid, weights, about, _strip)


def one_of_each(wanted: AskedConditions) -> dict[str, Tensor]:
    """The conditions, of one row.

    Raises:
        GenkitError: values in turn.
    """
    if wanted.turn > 1:
        raise GenkitError("conditions stay the same on the way from seed to seed; give one value of each")
    return {name: rows[:1] for name, rows in wanted.rows.items()}


def _strip(made: Tensor) -> Tensor:
    from genkit.images.grid import grid

    return grid(made, min(len(made), STRIP))
