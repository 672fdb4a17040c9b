"""Guidance of a diffusion model by a classifier of noisy images. Dhariwal & Nichol 2021, arXiv:2105.05233, Sec. 4."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor

from genkit.core.columns.labels import Labels
from genkit.core.condition import ConditionSpace
from genkit.core.errors import GenkitError, kind_of
from genkit.core.input_gradient import input_gradient
from genkit.diffusion.diffusion_generator import DiffusionGenerator, DiffusionWrapper
from genkit.diffusion.noisy_classifier import NoisyClassifier
from genkit.diffusion.process import Process
from genkit.diffusion.solvers import Denoising

GuidanceScale = Annotated[float, Field(ge=0, le=1000)]


class ClassifierGuided(DiffusionWrapper):
    """A diffusion model with each step pulled towards images that a classifier gives the wanted label.

    Args:
        generator: any diffusion generator, with labels or without; when a classifier guides it already, both do.
        classifier: of images noised by the same process; it is frozen.
        scale: s of s * grad log p(y | x_t); 0 never calls the classifier. Published: 1 at 64 pixels, 0.5 at 128, 1 at
            256 and 10 without labels there, 4 at 512.
        at: the point of the gradient: x_t, as the authors do, or the mean of the step back, as their derivation has it.

    Raises:
        GenkitError: a classifier of another process, size or number of classes.
    """

    def __init__(
        self,
        generator: DiffusionGenerator,
        classifier: NoisyClassifier,
        scale: GuidanceScale = 1.0,
        at: Literal["x_t", "mean"] = "x_t",
    ):
        super().__init__(generator)
        self.classifier = classifier
        self.scale, self.at = scale, at
        _check_fit(generator, self.classifier)
        self.classifier.requires_grad_(False)
        labels = generator.conditions.labels or Labels(classifier.classes, classifier.class_names)
        self.conditions = ConditionSpace({**generator.conditions, "label": labels})

    def denoising(self, condition: Mapping[str, Tensor]) -> Denoising:
        asked = {name: condition[name] for name in self.generator.conditions}
        denoising, label = self.generator.denoising(asked), condition["label"]
        if not self.scale:
            return denoising

        def gradient(x_t: Tensor, mean: Tensor, t: Tensor) -> Tensor:
            mine = self.gradient(x_t, mean, t, label)
            return mine if denoising.gradient is None else mine + denoising.gradient(x_t, mean, t)

        return replace(denoising, gradient=gradient)

    def gradient(self, x_t: Tensor, mean: Tensor, t: Tensor, label: Tensor) -> Tensor:
        """s * grad log p(label | x), (B, C, H, W); a sample's gradient depends on no other sample."""
        at = x_t if self.at == "x_t" else mean

        def log_probability(x: Tensor) -> Tensor:
            return self.classifier.log_probability(x, t.clone(), label.clone())  # none of `inference_mode` in a graph

        return self.scale * input_gradient(log_probability, at)


def _check_fit(generator: DiffusionGenerator, classifier: NoisyClassifier) -> None:
    if not isinstance(classifier, NoisyClassifier):
        raise GenkitError(f"guidance takes a noisy_classifier, which sees the timestep; got {kind_of(classifier)}")
    if not classifier.process.same_noise(generator.process):
        noise = [_noise(p) for p in (classifier.process, generator.process)]
        raise GenkitError(f"the classifier was trained on another process ({noise[0]}) than the generator ({noise[1]})")
    if tuple(classifier.sample_shape) != tuple(generator.sample_shape):
        shapes = [list(part.sample_shape) for part in (classifier, generator)]
        raise GenkitError(f"the classifier takes images {shapes[0]}, but the generator makes {shapes[1]}")
    offered = generator.conditions.classes or classifier.classes
    if offered != classifier.classes:
        raise GenkitError(f"the classifier knows {classifier.classes} classes, but the generator {offered}")


def _noise(process: Process) -> str:
    schedule = process.config["schedule"]
    named = schedule if isinstance(schedule, str) else f"betas {schedule[0]:.4g} to {schedule[-1]:.4g}"
    return f"{process.steps} steps, {named}, last timestep {process.timestep_scale * (process.steps - 1):g}"
