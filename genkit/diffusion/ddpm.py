"""Denoising diffusion. Ho et al. 2020, arXiv:2006.11239; Nichol & Dhariwal 2021, arXiv:2102.09672."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from genkit.core.columns.labels import Labels
from genkit.core.condition import Condition, ConditionSpace
from genkit.core.errors import RecipeError
from genkit.core.evaluating import evaluating
from genkit.core.generator import Likelihood
from genkit.core.randomness import Rows
from genkit.core.system import Data, System, Terms, Turns, Update, descend, observe
from genkit.diffusion.diffusion_generator import DiffusionGenerator
from genkit.diffusion.losses import DiffusionLoss, Hybrid, Simple, variational_bound
from genkit.diffusion.networks.denoiser import Denoiser
from genkit.diffusion.process import Process
from genkit.diffusion.schedules import Spacing
from genkit.diffusion.solvers import Ancestral, Denoising, Solver
from genkit.diffusion.step_choice import StepChoice, label_or_none, quarters


class DDPM(DiffusionGenerator):
    """Images from noise, one denoising step at a time.

    Args:
        network: predicts from (x_t, t, label); twice the channels where the process learns its variance.
        process: the noise that the network was trained with.
        solver: draws the samples; None is ancestral sampling over all steps.

    Raises:
        RecipeError: the network has no output for the variance that the process learns.
    """

    def __init__(self, network: Denoiser, process: Process, solver: Solver | None = None):
        super().__init__()
        self.network, self.process, self.solver = network, process, solver or Ancestral()
        self.sample_shape = tuple(network.sample_shape)
        self.conditions = ConditionSpace({"label": Labels(network.classes)} if network.classes else {})
        _check_outputs(network, process)
        self.solver.check(process)

    @property
    def solver(self) -> Solver:  # type: ignore[override]
        return self._solver

    @solver.setter
    def solver(self, solver: Solver) -> None:
        self._solver = solver
        self.config["solver"] = solver.config

    def output(self, x_t: Tensor, t: Tensor, label: Tensor | None, **images: Tensor) -> Tensor:
        """The network's float32 output for x_t (B, C, H, W) at the timesteps t (B,), see `Process`.

        Args:
            images: further conditions by name, see `Upsampler`.
        """
        return self.network(x_t, t, label, **images).float()

    def denoising(self, condition: Mapping[str, Tensor]) -> Denoising:
        label, images = condition.get("label"), {k: v for k, v in condition.items() if k != "label"}
        clip = len(self.sample_shape) == 3
        return Denoising(self.process, lambda x_t, t: self.output(x_t, t, label, **images), clip=clip)

    @torch.no_grad()
    def log_likelihood(
        self, x: Tensor, *, condition: Condition | None = None, rng: torch.Generator | None = None, steps: Spacing = ""
    ) -> Likelihood:
        """Variational lower bound on log p(x) of 8-bit images, one fresh noise a step. DDPM Eq. 5.

        Args:
            x: (B, C, H, W) in [-1, 1].
            condition: labels where the network takes them, drawn when missing; small images are those of x.
            rng: CPU generator.
            steps: the steps that are summed over; "" takes all, and any fewer give a looser bound.
        """
        rows = Rows(len(x), rng, self.device)
        asked = self.conditions.resolve({**self.condition_of(x), **(condition or {})}, len(x), rows)
        denoising = self.denoising({k: v.to(self.device) for k, v in asked.items()})
        denoising = denoising.on(self.process.with_settings(kept=steps)) if steps != "" else denoising
        with evaluating(self):
            return variational_bound(denoising, x.to(self.device), rows, self.watch)


class DDPMTraining(System):
    """Training to predict the noise added to an image. DDPM Algorithm 1.

    Args:
        generator: the model that is trained.
        loss: None is the hybrid loss where the process learns its variance, else the simple one.
        steps: chooses the steps of a batch; None draws them uniformly.
        label_dropout: share of labels that are replaced by "no label", for classifier-free guidance (Ho & Salimans
            2022, arXiv:2207.12598); needs a network that is `unlabelled`.
    """

    learners = {"denoiser": ("generator.network",)}  # noqa: RUF012 - a ClassVar of the base

    generator: DDPM

    def __init__(
        self,
        generator: DDPM,
        loss: DiffusionLoss | None = None,
        steps: StepChoice | None = None,
        label_dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0,
    ):
        super().__init__()
        process = generator.process
        self.generator, self.label_dropout = generator, label_dropout
        self.loss = loss or (Hybrid() if process.learns_variance else Simple())
        self.steps = steps or StepChoice()
        self.loss.check(process)
        self.steps.setup(len(process))
        if label_dropout and not generator.network.unlabelled:
            raise RecipeError('label_dropout: the network knows no "no label"; set its classes and unlabelled: true')

    def iteration(self, data: Data, step: int) -> Turns:
        batch = next(data)  # line 2
        i, weight = self.steps.draw(data)  # line 3
        noise = data.normal(*self.generator.sample_shape)  # line 4
        label = self._label(batch.condition, data)
        images = self.generator.condition_of(batch.x)
        on = {"x0": batch.x, "i": i, "noise": noise, "label": label, "weight": weight, "images": images}
        report = yield Update("denoiser", self.denoising_loss, on)  # line 5
        assert report is not None
        self.steps.learn(i, report["loss_per_sample"])

    def denoising_loss(
        self, x0: Tensor, i: Tensor, noise: Tensor, label: Tensor | None, weight: Tensor, images: Condition
    ) -> Terms:
        process = self.generator.process
        output = self.generator.output(process.noised(x0, i, noise), process.timesteps[i], label, **images)
        terms = self.loss(process, output, x0, noise, i)
        each = torch.stack(list(terms.values())).sum(0).detach()
        weighted = {name: (weight * values).mean() for name, values in terms.items()}
        return descend(**weighted) | observe(loss_per_sample=each, **quarters(i, each))

    def _label(self, condition: Condition, data: Data) -> Tensor | None:
        if not self.generator.conditions.classes:
            return None
        if not self.label_dropout:
            return condition["label"]
        return label_or_none(condition["label"], self.generator.network.classes, data.uniform(), self.label_dropout)


def _check_outputs(network: Denoiser, process: Process) -> None:
    channels = network.sample_shape[0]
    if process.learns_variance and network.outputs != 2 * channels:
        raise RecipeError(
            f"the process learns its variance ({process.variance}), but the network makes {network.outputs} channels; "
            "set variance: true in the network, or variance: fixed_large in the process"
        )
