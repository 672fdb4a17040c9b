"""Locality-aware initialisation: the last attention sees its neighbourhood first, and everything later."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import Field

from genkit.core.errors import RecipeError
from genkit.gan.slots import Pair, Schedule

Reach = Annotated[int, Field(ge=0)]
Iteration = Annotated[int, Field(ge=1)]


class LocalityMask(Schedule):
    """Widens the band |i - j| <= w of the generator's last attention, then lifts it. Jiang et al., arXiv:2102.07074.

    The authors count epochs of the critic's batches: with n images, batches of B and k critic steps an iteration, an
    epoch is n / (B k) iterations. Their half-widths 4, 6, 8, 10 of 1024 tokens hold until epochs 22, 32, 42, 60.
    Samples, scores and saved weights are those of the averaged copy, which never has a mask.

    Args:
        widths: half-widths w, in tokens in raster order.
        until: iteration up to which each width holds, in growing order; from the last on there is no mask.

    Raises:
        RecipeError: lists of different lengths, or iterations that do not grow.
    """

    def __init__(self, widths: Sequence[Reach], until: Sequence[Iteration]):
        if not widths or len(widths) != len(until):
            raise RecipeError(f"until: one iteration for each of the {len(widths)} widths, got {len(until)}")
        if sorted(set(until)) != list(until):
            raise RecipeError(f"until: the iterations must grow, got {list(until)}")
        self.widths, self.until = tuple(widths), tuple(until)

    def check(self, gan: Pair) -> None:
        network: Any = getattr(gan.generator, "network", None)
        if not hasattr(network, "locality"):
            raise RecipeError(
                f"locality_mask: {type(network).__name__} has no attention to mask (a convolution is local as it is); "
                "use transgan_generator"
            )
        if max(self.widths) >= network.grid:
            raise RecipeError(
                f"locality_mask: a half-width of {max(self.widths)} is not below the {network.grid} tokens that the "
                "last block attends over; lower widths"
            )

    def apply(self, gan: Pair, step: int) -> None:
        phase = bisect_right(self.until, step)
        network: Any = gan.generator.network  # type: ignore[attr-defined]
        network.locality = self.widths[phase] if phase < len(self.widths) else None
