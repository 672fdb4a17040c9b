"""A generator of the user's own, by two methods."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from genkit.core.calls import asked, takes_condition
from genkit.core.columns.labels import Labels
from genkit.core.condition import ConditionSpace
from genkit.core.errors import GenkitError, kind_of
from genkit.core.evaluating import evaluating
from genkit.core.generator import LatentGenerator
from genkit.core.randomness import Noise, Randomness

TRIED = 4
"""Samples by which it is found out what an object gives."""


class TwoMethods(Protocol):
    """All that directions need of a generator."""

    def sample_latents(self, n: int, rng: torch.Generator) -> Tensor:
        """n latents (n, D) by a CPU generator."""
        ...

    def generate(self, latents: Tensor, condition: Mapping[str, Tensor] | None = None) -> Tensor:
        """Images (n, C, H, W) around [-1, 1], with a graph to the latents; without classes of the latents alone."""
        ...


class OwnGenerator(LatentGenerator):
    """A `LatentGenerator` of any object with `sample_latents` and `generate`. It is not saved: it has no name.

    Args:
        made: the object; where it is a torch module its weights are those of this one.
        classes: that it is asked for: `generate` gets `{"label": (n,) int64}`; 0 has none.
        standard_normal: whether every number of its latents is standard normal, as samplers that move them need.

    Raises:
        GenkitError: a method missing or of other arguments, latents or images of another shape or number, or classes
            that `generate` does not take.
    """

    own: TwoMethods

    def __init__(self, made: TwoMethods, classes: int = 0, standard_normal: bool = False):
        super().__init__()
        if isinstance(made, nn.Module):
            self.module = made
        self.__dict__["own"] = made
        for method in ("sample_latents", "generate"):
            if not callable(getattr(made, method, None)):
                raise GenkitError(
                    f"an own generator has methods sample_latents and generate; {kind_of(made)} has no {method}"
                )
        if classes and not takes_condition(made.generate):
            raise GenkitError(f"generate(latents) of {kind_of(made)} cannot be asked for one of {classes} classes")
        self._standard_normal = standard_normal
        self.conditions = ConditionSpace({"label": Labels(classes)} if classes else {})
        label = {name: column.draw(Noise(TRIED, torch.Generator())) for name, column in self.conditions.items()}
        try:
            z = made.sample_latents(TRIED, torch.Generator().manual_seed(0))
            with torch.no_grad(), evaluating(self):
                x = self(z.to(self.device), {name: value.to(self.device) for name, value in label.items()})
            shapes = [list(z.shape), list(x.shape)]
        except (AttributeError, TypeError) as fault:
            raise GenkitError(
                f"{kind_of(made)} is asked for sample_latents(n, rng) and generate(latents"
                f"{', condition' if classes else ''}), and both give tensors; it raises {kind_of(fault)}: {fault}"
            ) from fault
        if not isinstance(x, Tensor) or not x.is_floating_point():
            got = f"{kind_of(x)} of {x.dtype}" if isinstance(x, Tensor) else kind_of(x)
            raise GenkitError(f"generate gives tensors of floating point around [-1, 1]; got {got}")
        if [len(shape) for shape in shapes] != [2, 4] or [n for n, *_ in shapes] != [TRIED, TRIED]:
            raise GenkitError(
                f"sample_latents gives (n, D) and generate (n, C, H, W); got {shapes[0]} and {shapes[1]} "
                f"for n = {TRIED}"
            )
        self.sample_shape = tuple(x.shape[1:])

    @property
    def standard_normal(self) -> bool:
        return self._standard_normal

    def latents(self, randomness: Randomness) -> Tensor:
        return randomness.draw(self.own.sample_latents)

    def forward(self, z: Any, condition: Mapping[str, Tensor] | None = None) -> Tensor:
        made: Tensor = asked(self.own.generate, z, condition or {})
        return made
