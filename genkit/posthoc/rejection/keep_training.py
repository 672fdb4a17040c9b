"""A critic goes on learning against a generator that stands still. Azadi et al. 2019, arXiv:1810.06758, Section 3.

The logistic loss is at its least for l(x) = log p_data(x) / p_generator(x): log 2 less the Jensen-Shannon divergence.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from genkit.core import tree
from genkit.core.condition import Condition
from genkit.core.crew import ALONE, Crew
from genkit.core.errors import RecipeError, kind_of
from genkit.core.evaluating import evaluating
from genkit.core.frozen import check_finished, freeze, is_frozen, thaw
from genkit.core.generator import Generator, LatentGenerator, within_range
from genkit.core.pretrained import Pretrained
from genkit.core.randomness import stable_seed
from genkit.core.system import Data, System, Terms, Turns, Update, descend, observe
from genkit.posthoc.rejection.acceptance import EPS
from genkit.posthoc.rejection.density_ratio import DensityRatio
from genkit.posthoc.rejection.kept_proposals import KeptProposals
from genkit.posthoc.rejection.rejection import BURN_IN, Eps, Rejection, Samples

PoolSize = Annotated[int, Field(ge=0, le=10_000_000)]


class KeepTraining(System):
    """Logistic regression of real samples against fresh ones of a finished generator; its product is a `Rejection`.

    The critic is judged and trained in eval mode, as it is used: without dropout, and with batch statistics that stand.

    Args:
        generator: finished.
        ratio: its critic learns, or its head alone where it has one. A finished critic is where it starts.
        rate, percentile, gamma, eps: of the product, see `Rejection`.
        pool: samples that are drawn once, before the first iteration, in place of fresh ones; 0 draws fresh ones, which
            a generator whose samples cost many passes cannot afford.
        samples: of the burn-in, which comes whenever the product is looked at.
        seed: of the pool.

    Raises:
        RecipeError: the generator is not finished, or needs a pool, or the ratio is calibrated.
    """

    learners = {"ratio": ("rejection.ratio",)}  # noqa: RUF012 - a ClassVar of the base
    leaves_free = True
    rejection: Rejection
    drawn: Tensor

    def __init__(
        self,
        generator: Generator,
        ratio: DensityRatio,
        rate: Annotated[float, Field(gt=0, lt=1)] | None = None,
        percentile: Annotated[float, Field(ge=0, le=100)] | None = None,
        gamma: float | None = None,
        eps: Eps = EPS,
        pool: PoolSize = 0,
        samples: Samples = BURN_IN,
        seed: Annotated[int, Field(ge=0, lt=2**63)] = 0,
    ):
        super().__init__()
        check_finished(is_frozen(generator), "generator: a critic is kept training against a finished generator")
        if not pool and not isinstance(generator, LatentGenerator):
            raise RecipeError(f"pool: fresh samples of {kind_of(generator)} cost too much; give e.g. 10000")
        if ratio.calibration:
            raise RecipeError("ratio.calibration: a calibration comes after the training; leave it out")
        self.rejection = Rejection(generator, _learning(ratio), rate, percentile, gamma, eps, samples)
        self.pool, self.seed = pool, seed
        self.register_buffer("drawn", torch.zeros(0, *generator.sample_shape), persistent=False)
        self.asked: Condition = {}
        self.burning = KeptProposals(pool)

    @property
    def generator(self) -> Rejection:  # type: ignore[override]
        return self.rejection

    @property
    def products(self) -> Mapping[str, Pretrained]:
        return {"rejection": self.rejection}

    def iteration(self, data: Data, step: int) -> Turns:
        real = next(data)
        y = self.rejection.asked(real.x, real.condition)
        fake, z = self._made(data, y)
        yield Update("ratio", self.loss, {"x": real.x, "y": y, "made": fake, "z": z})

    def loss(self, x: Tensor, y: Condition, made: Tensor, z: Condition) -> Terms:
        """-log D(x) - log(1 - D(made)) with D = sigmoid(l), means over the batch."""
        with evaluating(self.rejection.ratio):
            real, fake = self.rejection.ratio(x, y), self.rejection.ratio(made, z)
        right = ((real > 0).float().mean() + (fake < 0).float().mean()) / 2
        return descend(real=F.softplus(-real).mean(), made=F.softplus(fake).mean()) | observe(accuracy=right)

    def _made(self, data: Data, y: Condition) -> tuple[Tensor, Condition]:
        """Samples of the generator and their conditions, as many as there are real ones, for the same conditions."""
        generator = self.rejection.generator
        if not self.pool:
            assert isinstance(generator, LatentGenerator)
            return within_range(generator(generator.latents(data), y).float()), y
        if not len(self.drawn):
            self._draw()
        index = data.integers(self.pool)
        return self.drawn[index.to(self.drawn.device)], {name: rows[index] for name, rows in self.asked.items()}

    def _draw(self) -> None:
        rng, crew = torch.Generator().manual_seed(stable_seed(self.seed, "pool")), Crew.of_launch()

        def sent(x: Tensor, y: Condition) -> tuple[Tensor, Condition]:
            return tree.map(Tensor.cpu, (x, y)) if crew.count > 1 else (x, y)  # type: ignore[return-value]

        parts = self.rejection.read_of_proposed(self.pool, rng, sent, "pool", crew=crew)
        device = self.drawn.device
        self.drawn = torch.cat([x for x, _ in parts]).to(device)
        self.asked = {name: torch.cat([y[name] for _, y in parts]).to(device) for name in self.rejection.conditions}

    @contextmanager
    def for_inference(self, product: Pretrained, crew: Crew = ALONE) -> Iterator[None]:
        """Burns `product` in, with the same noise every time: with a pool, of the very samples."""
        assert isinstance(product, Rejection)
        rng = torch.Generator().manual_seed(stable_seed(self.seed, "burn-in"))
        product.burn_in(rng, kept=self.burning, crew=crew)
        try:
            yield
        finally:
            product.burnt.fill_(False)


def _learning(ratio: DensityRatio) -> DensityRatio:
    """A ratio whose head learns, or whose critic does: a copy of it where it was finished."""
    if ratio.head:
        freeze(ratio.critic)
    elif is_frozen(ratio.critic):
        ratio.critic = thaw(copy.deepcopy(ratio.critic))
    return ratio
