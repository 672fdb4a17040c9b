"""Guidance without a classifier. Ho & Salimans 2022, arXiv:2207.12598."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor

from genkit.core.condition import ConditionSpace
from genkit.core.errors import GenkitError
from genkit.diffusion.diffusion_generator import DiffusionGenerator, DiffusionWrapper
from genkit.diffusion.solvers import Denoising


class ClassifierFreeGuided(DiffusionWrapper):
    """A diffusion model guided away from the prediction without a label, towards the one with it.

    prediction = unlabelled + scale * (labelled - unlabelled); a learned variance is the labelled one's.

    Args:
        generator: a diffusion model whose network was trained with label dropout.
        scale: 0 is the unconditional model, 1 the conditional one, more exaggerates (the paper's w is scale - 1). Both
            ends cost one network evaluation a step, all else two, in one batch.

    Raises:
        GenkitError: the network has no "no label".
    """

    def __init__(self, generator: DiffusionGenerator, scale: Annotated[float, Field(ge=0, le=1000)] = 2.0):
        super().__init__(generator)
        network: Any = getattr(generator, "network", None)
        if not getattr(network, "unlabelled", False):
            raise GenkitError(
                "guidance without a classifier needs a model trained with label_dropout (network: unlabelled: true); "
                "for this one take a noisy classifier"
            )
        self.scale, self.classes = scale, network.classes
        if not scale:
            others = {name: column for name, column in self.conditions.items() if name != "label"}
            self.conditions = ConditionSpace(
                others, absent="scale 0 samples without a label; 1 is the plain conditional model"
            )

    def denoising(self, condition: Mapping[str, Tensor]) -> Denoising:
        if self.scale == 1:
            return self.generator.denoising(condition)
        denoising, label = self.generator.denoising({}), condition.get("label")
        images = {name: rows for name, rows in condition.items() if name != "label"}
        return replace(denoising, output=lambda x_t, t: self.output(x_t, t, label, **images))

    def output(self, x_t: Tensor, t: Tensor, label: Tensor | None, **images: Tensor) -> Tensor:
        """The guided output of the network, (B, C or 2C, H, W); `images` as in `DDPM.output`."""
        model: Any = self.generator
        none = torch.full((x_t.shape[0],), self.classes, device=x_t.device)
        if label is None:
            return model.output(x_t, t, none, **images)
        twice = {name: torch.cat([rows, rows]) for name, rows in images.items()}
        both = model.output(torch.cat([x_t, x_t]), torch.cat([t, t]), torch.cat([label, none]), **twice)
        n, channels = x_t.shape[:2]
        labelled, unlabelled = both[:n], both[n:]
        guided = unlabelled[:, :channels] + self.scale * (labelled[:, :channels] - unlabelled[:, :channels])
        return torch.cat([guided, labelled[:, channels:]], 1)
