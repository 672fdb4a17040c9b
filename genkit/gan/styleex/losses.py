"""Losses of StylEx between an image and its reconstruction, as pure functions. Lang et al. 2021, arXiv:2104.13369."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def mean_distance(a: Tensor, b: Tensor) -> Tensor:
    """mean |a - b|: of images L_x, of vectors w L_w. A scalar."""
    return (a - b).abs().mean()


def agreement_loss(logits: Tensor, reconstructed: Tensor) -> Tensor:
    """L_cls = mean over the batch of KL(C(x) || C(x')), in nats; both logits (B, classes). A scalar."""
    return F.kl_div(reconstructed.log_softmax(1), logits.log_softmax(1), log_target=True, reduction="batchmean")
