"""Optimisers as a recipe writes them: kind of step, clipping, schedule of the learning rate."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor, nn

from genkit.training.rate_schedules import Constant, LearningRate

PositiveFloat = Annotated[float, Field(gt=0)]
Momentum = Annotated[float, Field(ge=0, lt=1)]
Decay = Annotated[float, Field(ge=0)]


@dataclass(frozen=True, kw_only=True)
class Optimizer(ABC):
    """One learner's optimiser.

    Attributes:
        lr: learning rate before its schedule.
        clip_norm: the gradient is scaled down to this norm when longer; None leaves it.
        schedule: factor of the learning rate, by iteration.
    """

    lr: PositiveFloat
    clip_norm: PositiveFloat | None = None
    schedule: LearningRate = field(default_factory=Constant)

    @abstractmethod
    def over(self, parameters: Sequence[nn.Parameter]) -> torch.optim.Optimizer:
        """The torch optimiser that steps `parameters`."""


@dataclass(frozen=True, kw_only=True)
class Adam(Optimizer):
    """Kingma & Ba 2015, arXiv:1412.6980. GANs mostly take betas [0, 0.9]."""

    betas: tuple[Momentum, Momentum] = (0.9, 0.999)
    eps: PositiveFloat = 1e-8
    weight_decay: Decay = 0.0

    def over(self, parameters: Sequence[nn.Parameter]) -> torch.optim.Optimizer:
        return torch.optim.Adam(parameters, self.lr, self.betas, self.eps, self.weight_decay, fused=_fused(parameters))


@dataclass(frozen=True, kw_only=True)
class AdamNormGrad(Adam):
    """Adam on gradients of length one: each tensor's is divided by its norm + 1e-7 first, weight decay added after.

    As in the code of Norouzi et al. 2020, arXiv:2004.04795, where `eps` stands beside the square root of the second
    moment as it is, not of the one corrected for its start: "epsilon hat" in section 2 of Kingma & Ba.
    """

    def over(self, parameters: Sequence[nn.Parameter]) -> torch.optim.Optimizer:
        return _AdamNormGrad(parameters, self.lr, self.betas, self.eps, self.weight_decay, foreach=True)


class _AdamNormGrad(torch.optim.Adam):
    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        loss = None if closure is None else closure()
        for group in self.param_groups:
            if moved := [p for p in group["params"] if p.grad is not None]:
                self._step(group, moved)
        return loss

    def _step(self, group: dict[str, Any], parameters: list[Tensor]) -> None:
        b1, b2 = group["betas"]
        gradients = [p.grad for p in parameters if p.grad is not None]
        torch._foreach_div_(gradients, torch._foreach_add(torch._foreach_norm(gradients), 1e-7))
        torch._foreach_add_(gradients, parameters, alpha=group["weight_decay"])
        states = [self._state_of(p) for p in parameters]
        means, squares = [s["exp_avg"] for s in states], [s["exp_avg_sq"] for s in states]
        torch._foreach_lerp_(means, gradients, 1 - b1)
        torch._foreach_mul_(squares, b2)
        torch._foreach_addcmul_(squares, gradients, gradients, 1 - b2)
        divisors = torch._foreach_add(torch._foreach_sqrt(squares), group["eps"])
        for state in states:
            state["step"] += 1
        counts = [float(state["step"]) for state in states]
        sizes = [-group["lr"] * (1 - b2**t) ** 0.5 / (1 - b1**t) for t in counts]
        torch._foreach_addcdiv_(parameters, means, divisors, sizes)

    def _state_of(self, parameter: Tensor) -> dict[str, Any]:
        state: dict[str, Any] = self.state[parameter]
        if not state:
            state |= {"step": torch.tensor(0.0), "exp_avg": torch.zeros_like(parameter)}
            state["exp_avg_sq"] = torch.zeros_like(parameter)
        return state


@dataclass(frozen=True, kw_only=True)
class AdamEntryClip(Adam):
    """Adam that cuts every entry of a gradient to 3 sqrt(v) + 0.1 first, v its second moment, from the second step on.

    Weight decay is added after. As in the code of Du & Mordatch 2019, arXiv:1903.08689, and of Xiao et al. 2021.
    """

    def over(self, parameters: Sequence[nn.Parameter]) -> torch.optim.Optimizer:
        return _AdamEntryClip(parameters, self.lr, self.betas, self.eps, self.weight_decay, fused=_fused(parameters))


class _AdamEntryClip(torch.optim.Adam):
    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None and (state := self.state.get(p)):
                    unbiased = state["exp_avg_sq"] / (1 - group["betas"][1] ** state["step"].to(p.device))
                    bound = 3 * unbiased.sqrt() + 0.1
                    p.grad.clamp_(-bound, bound)
        return super().step(closure)


@dataclass(frozen=True, kw_only=True)
class AdamW(Adam):
    """Loshchilov & Hutter 2019, arXiv:1711.05101."""

    weight_decay: Decay = 0.01

    def over(self, parameters: Sequence[nn.Parameter]) -> torch.optim.Optimizer:
        return torch.optim.AdamW(parameters, self.lr, self.betas, self.eps, self.weight_decay, fused=_fused(parameters))


@dataclass(frozen=True, kw_only=True)
class Adamax(Adam):
    """Adam by the largest gradient so far, decayed, in place of the root mean square. Kingma & Ba 2015, Sec. 7.1."""

    def over(self, parameters: Sequence[nn.Parameter]) -> torch.optim.Optimizer:
        return torch.optim.Adamax(parameters, self.lr, self.betas, self.eps, self.weight_decay)


@dataclass(frozen=True, kw_only=True)
class SGD(Optimizer):
    """Gradient descent with momentum."""

    momentum: Momentum = 0.0
    nesterov: bool = False
    weight_decay: Decay = 0.0

    def over(self, parameters: Sequence[nn.Parameter]) -> torch.optim.Optimizer:
        return torch.optim.SGD(
            parameters,
            self.lr,
            self.momentum,
            weight_decay=self.weight_decay,
            nesterov=self.nesterov,
            # The fused kernel fails on momentum of parameters whose first gradient comes in a later step than others'.
            fused=not self.momentum and _fused(parameters),
        )


def _fused(parameters: Sequence[nn.Parameter]) -> bool:
    """Whether torch has a fused step for them: it has none without values."""
    return not any(p.is_meta for p in parameters)
