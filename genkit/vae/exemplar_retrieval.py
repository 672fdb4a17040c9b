"""Training with the nearest exemplars only, found in a cache of latents. Norouzi et al. 2020, arXiv:2004.04795."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from genkit.core.errors import RecipeError
from genkit.core.known import Tally, on_host
from genkit.core.nearest import nearest
from genkit.core.processes import whole_batch
from genkit.core.randomness import sent
from genkit.core.system import Data, Items
from genkit.vae.exemplar_choice import Chosen, ExemplarChoice, Subset, check_size, draw_items
from genkit.vae.log_mixture import LeaveOut, seen
from genkit.vae.vae import VAE

Refresh = Literal["whole", "rolling"]
Period = Annotated[int, Field(ge=1)]
CHUNK = 4096
"""Images that are encoded at a time for the cache."""


class LatentCache(Tally):
    """The means of all training items, some of them from older encoders.

    Args:
        refresh: "whole" encodes everything again once in a period, "rolling" an equal share in every iteration.
        period: iterations after which every item has been encoded again.
    """

    means: Tensor
    age: Tensor

    def __init__(self, refresh: Refresh = "whole", period: Period = 500):
        super().__init__()
        self.refresh, self.period = refresh, period
        self.register_buffer("means", torch.zeros(0, 0))
        self.register_buffer("age", torch.zeros((), dtype=torch.int64))

    def setup(self, items: int, dim: int) -> None:
        self.means = torch.zeros(items, dim)

    def keep_fresh(self, vae: VAE, data: Data) -> None:
        """Encodes the rows that are due in this iteration; in the first one all."""
        age = self.counted(self.age)
        for rows in self._due(age).split(CHUNK):
            self.write(rows, vae.network.posterior(vae.likelihood.values(data.fetch(rows).x)).mean)
        self.count_on(self.age, age + 1)

    def _due(self, age: int) -> Tensor:
        items, turn = len(self.means), age % self.period
        if age == 0 or (self.refresh == "whole" and turn == 0):
            return torch.arange(items)
        if self.refresh == "whole":
            return torch.arange(0)
        return torch.arange(items * turn // self.period, items * (turn + 1) // self.period)

    def write(self, items: Tensor, means: Tensor) -> None:
        self.means[sent(items, self.means.device)] = means.detach().to(self.means.dtype)


class CachedExemplars(ExemplarChoice):
    """Base of the choices that use a cache."""

    def __init__(self, refresh: Refresh, period: int):
        super().__init__()
        self.cache = LatentCache(refresh, period)

    def setup(self, vae: VAE, items: Items) -> None:
        self.cache.setup(len(items), vae.latent_dims[0])

    def updated(self, vae: VAE, data: Data, index: Tensor, observed: Tensor) -> tuple[Tensor, Tensor]:
        """Items and posterior means of the whole batch, written into the cache."""
        self.cache.keep_fresh(vae, data)
        means = whole_batch(vae.network.posterior(observed).mean.float())
        items = whole_batch(sent(index, means.device))
        self.cache.write(items, means)
        return items, means


class RetrievedExemplars(CachedExemplars):
    """The nearest of many random candidates, encoded with a graph: the large terms of the sum, at a part of the cost.

    Every row is scored against the union of the whole batch's neighbours.

    Args:
        size: candidates.
        neighbours: of each row.
        estimator: "lower_bound" leaves a row itself out of the search and divides by the number of candidates, a lower
            bound on the prior of all of them; "authors" searches with the row itself, mostly its own neighbour, and
            divides by the size of the union, which is about log(size / union) nats too high. Weights get the same kind
            of gradient from both.
        replacement: draw candidates with replacement.
        refresh, period: of the cache, see `LatentCache`.
    """

    def __init__(
        self,
        size: Subset = 25_000,
        neighbours: Annotated[int, Field(ge=1)] = 10,
        estimator: Literal["lower_bound", "authors"] = "lower_bound",
        replacement: bool = True,
        refresh: Refresh = "whole",
        period: Period = 500,
    ):
        super().__init__(refresh, period)
        self.size, self.neighbours, self.estimator, self.replacement = size, neighbours, estimator, replacement
        if neighbours >= size:
            raise RecipeError(f"neighbours: {neighbours} of {size} candidates; use fewer than there are candidates")

    def setup(self, vae: VAE, items: Items) -> None:
        super().setup(vae, items)
        check_size(self.size, len(items), self.replacement)

    def choose(self, vae: VAE, data: Data, index: Tensor, observed: Tensor) -> tuple[Chosen, Tensor | None]:
        rows, means = self.updated(vae, data, index, observed)
        candidates = draw_items(data, len(self.cache.means), self.size, self.replacement)
        exact = self.estimator == "lower_bound"
        there = sent(candidates, means.device)
        owners = (rows, there) if exact else None
        near, _ = nearest(means, self.cache.means[there], self.neighbours, owners=owners)
        items = candidates[on_host(near).unique()]  # the data that they name lie on the host
        values = vae.likelihood.values(data.fetch(items).x)
        self.cache.write(items, vae.network.posterior(values).mean)
        return Chosen(items, values=values), sent(seen(LeaveOut(index, candidates)), means.device) if exact else None


class FrozenExemplars(CachedExemplars):
    """All cached means, unchanged: another estimator, without the gradient through the exemplars' encodings.

    The encoder learns from the posteriors alone; cheap, since nothing but the batch is encoded.

    Args:
        refresh, period: of the cache, see `LatentCache`.
    """

    def __init__(self, refresh: Refresh = "whole", period: Period = 500):
        super().__init__(refresh, period)

    def choose(self, vae: VAE, data: Data, index: Tensor, observed: Tensor) -> tuple[Chosen, Tensor | None]:
        self.updated(vae, data, index, observed)
        return Chosen(torch.arange(len(self.cache.means)), means=self.cache.means), None
