"""The generator's step on pairs of images that share one slice of z."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field
from torch import Tensor

from genkit.core.errors import RecipeError, shown, suggest
from genkit.core.processes import my_rows, whole_batch
from genkit.core.styled import named_slices
from genkit.core.system import Data
from genkit.core.tree import Tree
from genkit.gan.control.contrast import equal_rows, paired
from genkit.gan.slots import Ascent, Pair


class PairedAscent(Ascent):
    """Up the reward of samples that come in pairs: rows of the batch are divided among the slices of the latent, and
    within a group every second image has the group's slice of the one before it, all else being its own.

    Needs a network with a split latent. The critic's steps, and those of `own_step`, see ordinary samples.

    Args:
        rows: of the batch, an even number for each slice that is named; None divides it equally among all slices.
        steps, batches: as of `ascent`.

    Raises:
        RecipeError: an odd number of rows.
    """

    def __init__(
        self,
        rows: dict[str, Annotated[int, Field(ge=2, le=4096)]] | None = None,
        steps: Annotated[int, Field(ge=1, le=1000)] = 1,
        batches: Annotated[int, Field(ge=1, le=64)] = 1,
    ):
        super().__init__(steps, batches)
        self.rows = rows
        self.slices: dict[str, slice] = {}
        for name, count in (rows or {}).items():
            if count % 2:
                raise RecipeError(f"rows: {name} has {count}, which do not go into pairs; give an even number")

    def check(self, gan: Pair) -> None:
        network: Any = getattr(gan.generator, "network", None)
        self.slices = dict(named_slices(network))
        if not self.slices:
            raise RecipeError(
                f"paired_ascent: the latent of {type(network).__name__} has no slices to share; give a "
                "stylegan2_generator a split"
            )
        for name in self.rows or {}:
            if name not in self.slices:
                raise RecipeError(f"paired_ascent.rows: no slice {shown(name)}{suggest(name, self.slices)}")

    def check_batch(self, rows: int) -> None:
        groups, rows = self.groups(rows * self.batches), rows * self.batches
        if sum(groups.values()) > rows or not all(groups.values()):
            least = sum(self.rows.values()) if self.rows else 2 * len(self.slices)
            raise RecipeError(
                f"train.batch_size: pairs of {', '.join(groups)} take {least} rows at least, and the generator's step "
                f"has {rows}; raise it, or the rule's batches"
            )

    def groups(self, rows: int) -> dict[str, int]:
        """Rows of each group of a batch."""
        return self.rows or equal_rows(rows, list(self.slices))

    def latents(self, gan: Pair, data: Data, x: Tensor) -> Tree:
        drawn: Any = super().latents(gan, data, x)
        z = whole_batch(drawn["z"])
        return {**drawn, "z": my_rows(paired(z, self.slices, self.groups(len(z))))}
