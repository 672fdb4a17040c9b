"""Super-resolution co-training: the generator also learns to enlarge real images."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

from pydantic import Field
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, mse_loss

from genkit.core.errors import RecipeError
from genkit.core.system import Data, Terms, Turns, Update, descend
from genkit.gan.slots import Pair, Term


class SuperResolution(Term):
    """weight * |G(low(x)) - x|^2 per pixel, low(x) the real image averaged down. Jiang et al. 2021, arXiv:2102.07074.

    The paper adds the term to the generator's loss; its code was never released. Here it is a turn of its own, after
    the rule's, on a batch of its own. The generator's optimiser is shared, so that under Adam, whose second moment then
    holds both gradients, the weight still sets the share of the two.

    Args:
        weight: 50 in the paper.
    """

    name = "super_resolution"
    of = None

    def __init__(self, weight: Annotated[float, Field(gt=0)] = 50.0):
        super().__init__()
        self.weight = weight

    def check(self, gan: Pair) -> None:
        network: Any = getattr(gan.generator, "network", None)
        if getattr(network, "low_size", None) is None:
            raise RecipeError(
                f"super_resolution: {type(network).__name__} cannot start from a small image; use a transgan_generator,"
                " dcgan_generator or resnet_generator with low_resolution: true"
            )

    def turns(self, gan: Pair, data: Data, step: int) -> Turns:
        yield Update("generator", partial(self.loss, gan), {"x": next(data).x})

    def loss(self, gan: Pair, x: Tensor) -> Terms:
        network: Any = gan.generator.network  # type: ignore[attr-defined]
        low = adaptive_avg_pool2d(x, network.low_size)
        return descend(super_resolution=self.weight * mse_loss(network.from_low_res(low).float(), x))
