"""Training a classifier of noisy images. Dhariwal & Nichol 2021, arXiv:2105.05233, Sec. 4 and H."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import torch
import torch.nn.functional as F
from einops import rearrange
from pydantic import Field
from torch import Tensor

from genkit.core.condition import ConditionSpace, check_classified
from genkit.core.pretrained import Pretrained
from genkit.core.system import Data, System, Terms, Turns, Update, descend, observe
from genkit.diffusion.noisy_classifier import NoisyClassifier
from genkit.diffusion.step_choice import quarters


class NoisyClassifierTraining(System):
    """Cross-entropy on cropped and noised images, at steps drawn uniformly.

    Args:
        classifier: the classifier that is trained.
        smallest_crop: images are cropped to a random square of this to all of their side, and enlarged again; 1 leaves
            them. Mirroring is the recipe's train.mirror.
    """

    learners = {"classifier": ("classifier",)}  # noqa: RUF012 - a ClassVar of the base

    def __init__(self, classifier: NoisyClassifier, smallest_crop: Annotated[float, Field(gt=0, le=1)] = 0.8):
        super().__init__()
        self.classifier, self.smallest_crop = classifier, smallest_crop

    @property
    def products(self) -> Mapping[str, Pretrained]:
        return {"classifier": self.classifier}

    def check_data(self, sample_shape: tuple[int, ...], conditions: ConditionSpace) -> None:
        check_classified(self.classifier, sample_shape, conditions)

    def iteration(self, data: Data, step: int) -> Turns:
        batch, crop = next(data), data.uniform(3)
        on = {
            "x0": batch.x,
            "label": batch.condition["label"],
            "crop": crop,
            "i": data.integers(len(self.classifier.process)),
            "noise": data.normal(*self.classifier.sample_shape),
        }
        yield Update("classifier", self.classification_loss, on)

    def classification_loss(self, x0: Tensor, label: Tensor, crop: Tensor, i: Tensor, noise: Tensor) -> Terms:
        process = self.classifier.process
        x_t = process.noised(cropped(x0, crop, self.smallest_crop), i, noise)
        logits = self.classifier(x_t, process.timesteps[i])
        right = (logits.detach().argmax(1) == label).float()
        observed = observe(accuracy=right.mean(), **quarters(i, right))
        return descend(cross_entropy=F.cross_entropy(logits, label)) | observed


def cropped(x: Tensor, u: Tensor, smallest: float) -> Tensor:
    """A random square of each image, enlarged to all of it by bilinear interpolation.

    x (B, C, H, W); u (B, 3) uniform on [0, 1): how large, and where across and down.
    """
    if smallest == 1:
        return x
    side = rearrange(smallest + (1 - smallest) * u[:, 0], "b -> b 1")
    across, down = ((1 - side) * (2 * u[:, k : k + 1] - 1) + side * _centres(x.shape[-k], x.device) for k in (1, 2))
    grid = torch.stack(torch.broadcast_tensors(across[:, None, :], down[:, :, None]), -1)
    return F.grid_sample(x, grid, mode="bilinear", padding_mode="border", align_corners=False)


def _centres(pixels: int, device: torch.device) -> Tensor:
    """Centres of the pixels in a row, on [-1, 1], float32: F.affine_grid would give bfloat16 under autocast."""
    return (2 * torch.arange(pixels, device=device) + 1) / pixels - 1
