"""Training of a variational autoencoder with any prior.

Kingma & Welling 2014, arXiv:1312.6114; with exemplars: Norouzi et al. 2020, arXiv:2004.04795.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

from pydantic import Field
from torch import Tensor

from genkit.core.crew import ALONE, Crew
from genkit.core.errors import RecipeError
from genkit.core.pretrained import Pretrained
from genkit.core.system import Data, Items, System, Terms, Turns, Update, descend, observe
from genkit.vae.exemplar_choice import Chosen, ExemplarChoice, RandomExemplars, log_prior_of
from genkit.vae.latent_priors import ExemplarPrior
from genkit.vae.slots import Divergence, Regularisation
from genkit.vae.vae import VAE


class VAETraining(System):
    """Stochastic ascent of the evidence lower bound, the divergence weighted by beta.

    Args:
        generator: the VAE; its encoders, decoder and the parameters of its prior are learned.
        warmup: iterations over which beta rises in a straight line to one.
        exemplars: their choice, for an exemplar prior; None is a random subset of 1,000.
        divergence: rule for the sum of the levels' divergences; None estimates them by the decoder's sample.
        regularisation: of the network's weights; None is none.

    Raises:
        RecipeError: exemplars for a prior without them, a divergence that the prior does not have.
    """

    learners = {"vae": ("generator",)}  # noqa: RUF012 - a ClassVar of the base

    generator: VAE

    def __init__(
        self,
        generator: VAE,
        warmup: Annotated[int, Field(ge=0)] = 0,
        exemplars: ExemplarChoice | None = None,
        divergence: Divergence | None = None,
        regularisation: Regularisation | None = None,
    ):
        super().__init__()
        self.generator, self.warmup = generator, warmup
        self.divergence, self.regularisation = divergence, regularisation
        if divergence:
            divergence.check(generator)
        if regularisation:
            regularisation.setup(generator.network)
        by_example = isinstance(generator.latent_prior, ExemplarPrior)
        if exemplars and not by_example:
            raise RecipeError(
                f"exemplars: a VAE with the prior {type(generator.latent_prior).__name__} has none; "
                "use the prior exemplar_prior or leave them out"
            )
        self.exemplars = exemplars or RandomExemplars() if by_example else None
        self._items: Items | None = None

    def setup(self, items: Items) -> None:
        self._items = items
        if self.exemplars:
            self.exemplars.setup(self.generator, items)

    def iteration(self, data: Data, step: int) -> Turns:
        batch, vae = next(data), self.generator
        index, x = batch.index, vae.observed(batch.x, data)
        noise = [data.normal(dim) for dim in vae.latent_dims]
        chosen, count = self.exemplars.choose(vae, data, index, x) if self.exemplars else (None, None)
        on = {"x": x, "noise": noise, "index": index, "count": count}
        if self.regularisation:
            self.regularisation.iterate(vae.network)
        beta = self.beta(step)
        coupled = self.divergence is not None and beta < 1
        yield Update("vae", self.loss, on, {"beta": beta, "chosen": chosen}, coupled)

    def beta(self, step: int) -> float:
        """Weight of the divergence in iteration `step` (from 0)."""
        return min(1.0, (step + 1) / self.warmup) if self.warmup else 1.0

    def loss(
        self, x: Tensor, noise: list[Tensor], index: Tensor, count: Tensor | None, beta: float, chosen: Chosen | None
    ) -> Terms:
        """-log p(x | z) + beta (log q(z | x) - log p(z)), mean over the batch; `bound` is its value at beta 1."""
        vae = self.generator
        log_prior = (
            vae.latent_prior.mixture(vae.network).log_density
            if chosen is None
            else log_prior_of(vae, chosen, index, count)
        )
        found = vae.infer(x, noise, log_prior)
        bound = vae.bound_of(x, found)
        divergence = self.divergence(found, beta) if self.divergence else bound.divergence
        terms = {"reconstruction": -bound.reconstruction.mean(), "divergence": beta * divergence.mean()}
        if self.regularisation:
            terms["regularisation"] = self.regularisation(vae.network, beta)
        return descend(**terms) | observe(bound=bound.log_weight.mean())

    def exercise(self, product: Pretrained, data: Data) -> None:
        """Runs the networks as training does: encoders on a batch, the decoder on latents of its posteriors."""
        assert isinstance(product, VAE)
        x = product.observed(next(data).x, data)
        product.infer(x, [data.normal(dim) for dim in product.latent_dims], lambda z: z.sum(1))

    @contextmanager
    def for_inference(self, product: Pretrained, crew: Crew = ALONE) -> Iterator[None]:
        """The averaged copy with the means of the whole training set as its exemplars, inside the block."""
        if not self.exemplars or self._items is None:
            yield
            return
        assert isinstance(product, VAE) and isinstance(product.latent_prior, ExemplarPrior)
        empty = product.exemplars.means
        try:
            product.exemplars.replace(self._items)
            yield
        finally:
            product.latent_prior.put(empty, [])
