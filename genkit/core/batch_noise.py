"""Noise for a batch that several processes share: each draws its own rows, and they are those of one process."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import torch
from torch import Tensor

from genkit.core.randomness import Sampler, stable_seed

HOST = "cpu"
CPU = torch.device(HOST)
SMALL = 2**14
"""Values of a whole batch that are drawn whole by every process: for so few, to skip costs more than to draw."""
GROUP, LARGEST_GROUP = 2**19, 64
"""Values of the rows that are drawn by one call on a GPU, and the most rows that there are to a group."""

FromBits = Callable[[np.ndarray], Tensor]
"""(rows, words) 64 random bits each -> (rows, values)."""


@dataclass(frozen=True)
class Part:
    """The rows first, ..., first + rows - 1 of `whole`."""

    first: int
    rows: int
    whole: int

    @property
    def span(self) -> slice:
        return slice(self.first, self.first + self.rows)


@dataclass
class BatchNoise:
    """Draws of a part of the noise of a whole batch: row r of draw d is a function of (seed, d, r).

    The cost is that of the part, and does not grow with the whole. On the CPU the rows of a draw follow each other in
    one PCG64 stream (O'Neill 2014), which skips ahead in logarithmic time; elsewhere a group of rows has a generator.

    Attributes:
        seed: of all draws.
        draws: number of draws so far.
    """

    seed: int
    draws: int = 0
    _generators: dict[torch.device, torch.Generator] = field(default_factory=dict)

    def generator(self, device: torch.device) -> torch.Generator:
        """The generator of draws that every process makes whole."""
        if device not in self._generators:
            self._generators[device] = torch.Generator(device).manual_seed(self.seed)
        return self._generators[device]

    def normal(self, part: Part, *shape: int, device: torch.device = CPU) -> Tensor:
        """Standard normal, (rows, *shape) float32."""

        def whole(n: int, rng: torch.Generator) -> Tensor:
            return torch.randn(n, *shape, generator=rng, device=device)

        return self._drawn(part, shape, 2, _normal, whole, device)

    def uniform(
        self, part: Part, *shape: int, dtype: torch.dtype = torch.float32, device: torch.device = CPU
    ) -> Tensor:
        """Uniform on [0, 1), (rows, *shape)."""

        def whole(n: int, rng: torch.Generator) -> Tensor:
            return torch.rand(n, *shape, generator=rng, dtype=dtype, device=device)

        if dtype == torch.float64:
            return self._drawn(part, shape, 1, _uniform64, whole, device)
        return self._drawn(part, shape, 2, _uniform, whole, device).to(dtype)

    def integers(self, part: Part, high: int, *shape: int, device: torch.device = CPU) -> Tensor:
        """Uniform on {0, ..., high - 1}, (rows, *shape) int64."""

        def whole(n: int, rng: torch.Generator) -> Tensor:
            return torch.randint(high, (n, *shape), generator=rng, device=device)

        return self._drawn(part, shape, 1, partial(_integers, high), whole, device)

    def _drawn(
        self, part: Part, shape: tuple[int, ...], in_a_word: int, made: FromBits, whole: Sampler, device: torch.device
    ) -> Tensor:
        values = math.prod(shape)
        if part.whole * values <= SMALL:
            return whole(part.whole, self.generator(device))[part.span]
        self.draws += 1
        if device.type != HOST:
            return self._by_groups(part, values, whole, device)
        words = -(-values // in_a_word)
        bits = np.random.PCG64DXSM(stable_seed(self.seed, self.draws))
        drawn = bits.advance(part.first * words).random_raw(part.rows * words)
        return made(drawn.reshape(part.rows, words))[:, :values].reshape(part.rows, *shape)

    def _by_groups(self, part: Part, values: int, whole: Sampler, device: torch.device) -> Tensor:
        """Draws rows in groups: a call of a GPU costs as much as drawing `GROUP` values."""
        size = max(1, min(LARGEST_GROUP, GROUP // values))
        first, stop = part.first // size, -(-part.span.stop // size)
        seeds = [stable_seed(self.seed, self.draws, group) for group in range(first, stop)]
        groups = [whole(size, torch.Generator(device).manual_seed(seed)) for seed in seeds]
        start = part.first - first * size
        return torch.cat(groups)[start : start + part.rows]


def _uniform(words: np.ndarray) -> Tensor:
    """(rows, words) -> (rows, 2 words) on [0, 1), of 24 bits each, as a float32 holds them."""
    return torch.from_numpy(words.view(np.int32) >> 8).float().mul_(2**-24).add_(0.5)


def _normal(words: np.ndarray) -> Tensor:
    """Box & Muller 1958: a radius of the first half of a row, an angle of the second."""
    radius, angle = _uniform(words).chunk(2, 1)
    radius = (radius + 2**-24).log_().mul_(-2).sqrt_()
    angle = angle * (2 * math.pi)
    return torch.cat([radius * angle.cos(), radius * angle.sin()], 1)


def _uniform64(words: np.ndarray) -> Tensor:
    return torch.from_numpy((words >> np.uint64(11)).astype(np.float64)).mul_(2**-53)


def _integers(high: int, words: np.ndarray) -> Tensor:
    return (_uniform64(words) * high).long().clamp_(max=high - 1)
