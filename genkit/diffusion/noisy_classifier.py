"""The classifier of noisy images that guides a diffusion model, and its training. Dhariwal & Nichol 2021,
arXiv:2105.05233, Sec. 4 and H."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import torch
import torch.nn.functional as F
from einops import rearrange
from pydantic import Field
from torch import Tensor, nn

from genkit.core.condition import ConditionSpace, check_classified
from genkit.core.evaluating import evaluating
from genkit.core.pretrained import Pretrained
from genkit.core.system import Data, System, Terms, Turns, Update, descend, observe
from genkit.diffusion.networks.denoiser import NoisyEncoder
from genkit.diffusion.process import Process
from genkit.diffusion.solvers import steps_like
from genkit.diffusion.step_choice import quarters

LEVELS = 5
"""Noise levels that accuracy is given for, evenly spread from the first step to the last."""


class NoisyClassifier(Pretrained, nn.Module):
    """log p(y | x_t, t) of images noised by one process.

    Args:
        network: from (x_t, t) to logits.
        process: the noise of the images; a diffusion model that is to be guided must have the same.
    """

    judged_by = "genkit.evaluation.judges:ByAccuracy"

    def __init__(self, network: NoisyEncoder, process: Process):
        super().__init__()
        self.network, self.process = network, process
        self.sample_shape, self.classes = tuple(network.sample_shape), network.classes

    def forward(self, x_t: Tensor, t: Tensor) -> Tensor:
        """x_t (B, C, H, W), timesteps (B,), see `Process` -> logits (B, classes) float32."""
        return self.network(x_t, t).float()

    def log_probability(self, x_t: Tensor, t: Tensor, label: Tensor) -> Tensor:
        """log p(label | x_t), (B,)."""
        return self(x_t, t).log_softmax(1).gather(1, rearrange(label, "b -> b 1")).squeeze(1)

    @torch.no_grad()
    def right(self, x: Tensor, label: Tensor, rng: torch.Generator) -> dict[str, Tensor]:
        """See genkit.evaluation.classification; "accuracy" is over uniformly drawn steps."""
        steps = len(self.process)
        noise = torch.randn(x.shape, generator=rng).to(x.device)
        anywhere = torch.randint(steps, (len(x),), generator=rng).to(x.device)
        at = {"accuracy": anywhere}
        for k in range(LEVELS):
            step = round(k * (steps - 1) / (LEVELS - 1))
            at[f"accuracy_at_{self.process.kept[step]}"] = steps_like(step, x)
        with evaluating(self):
            logits = {name: self(self.process.noised(x, i, noise), self.process.timesteps[i]) for name, i in at.items()}
        return {name: found.argmax(1) == label for name, found in logits.items()}


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

    x (B, C, H, W); u (B, 3) uniform on [0, 1): size, position across, position down.
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
