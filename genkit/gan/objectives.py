"""Adversarial objectives as per-sample terms of scores; weights and means belong to the game."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor
from torch.nn.functional import relu, softplus


class Objective(ABC):
    """Terms of real and fake scores that the critic descends, and the reward that the generator climbs, all (B,)."""

    @abstractmethod
    def critic_real(self, score: Tensor) -> Tensor: ...

    @abstractmethod
    def critic_fake(self, score: Tensor) -> Tensor: ...

    @abstractmethod
    def reward(self, score: Tensor) -> Tensor: ...


class Wasserstein(Objective):
    """E_fake f - E_real f. Arjovsky et al. 2017, arXiv:1701.07875, Eq. (2)."""

    def critic_real(self, score: Tensor) -> Tensor:
        return -score

    def critic_fake(self, score: Tensor) -> Tensor:
        return score

    def reward(self, score: Tensor) -> Tensor:
        return score


class Hinge(Objective):
    """Margins at +1 and -1. Lim & Ye 2017, arXiv:1705.02894; Miyato et al. 2018, arXiv:1802.05957, Eq. (16)-(17)."""

    def critic_real(self, score: Tensor) -> Tensor:
        return relu(1 - score)

    def critic_fake(self, score: Tensor) -> Tensor:
        return relu(1 + score)

    def reward(self, score: Tensor) -> Tensor:
        return score


class NonSaturating(Objective):
    """Cross-entropy with scores as log-odds of real; the generator climbs log D. Goodfellow et al. 2014, Sec. 3."""

    def critic_real(self, score: Tensor) -> Tensor:
        return softplus(-score)

    def critic_fake(self, score: Tensor) -> Tensor:
        return softplus(score)

    def reward(self, score: Tensor) -> Tensor:
        return -softplus(-score)
