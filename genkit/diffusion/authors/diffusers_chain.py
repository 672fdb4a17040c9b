"""The sampling chain of a generator's solver in diffusers' terms: a scheduler and the settings of its pipeline."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from genkit.core.errors import WeightsError
from genkit.diffusion.ddpm import DDPM
from genkit.diffusion.multistep import MultistepSolver, UniPC
from genkit.diffusion.process import Process
from genkit.diffusion.solvers import DDIM, Ancestral

PREDICTIONS = {"eps": "epsilon", "x0": "sample", "v": "v_prediction"}


@dataclass(frozen=True)
class Chain:
    """A solver and its process, in diffusers' terms.

    Attributes:
        scheduler: of diffusers.
        steps: network evaluations, their `num_inference_steps`.
        eta: of DDIM, else 0.
        timesteps: the number that the network sees at each of the scheduler's steps; None where it is the step's own.
        samples_variance: the scheduler reads the variance that a network predicts.
        plain: DDPMPipeline or DDIMPipeline can drive the scheduler.
    """

    scheduler: Any
    steps: int
    eta: float
    timesteps: list[float] | None
    samples_variance: bool
    plain: bool


def chain_of(generator: DDPM) -> Chain:
    """The chain that the generator's solver walks, step for step.

    Raises:
        WeightsError: diffusers has no scheduler for it.
    """
    solver = generator.solver
    if isinstance(solver, MultistepSolver):
        return _multistep(solver, generator.process)
    if isinstance(solver, (Ancestral, DDIM)):
        return _stepwise(solver, generator.process)
    raise WeightsError(f"solver: diffusers has no scheduler like {type(solver).__name__}; choose another solver")


def _stepwise(solver: Ancestral | DDIM, full: Process) -> Chain:
    from diffusers import DDIMScheduler, DDPMScheduler

    process, ddim = solver.process_of(full), isinstance(solver, DDIM)
    if process.variance == "learned" and not ddim:
        raise WeightsError(
            "process.variance: diffusers takes the 'learned' one for a variance where it is a logarithm; "
            "choose a solver with variance: fixed_small or fixed_large, or ddim"
        )
    spacing = _spacing(process, ddim)
    shared = {"prediction_type": PREDICTIONS[process.prediction], "clip_sample": True}
    shared |= _betas(full.with_settings(kept="").betas if spacing else process.betas)
    shared |= {"timestep_spacing": spacing or "leading"}
    variance = {} if ddim else {"variance_type": process.variance}
    return Chain(
        scheduler=(DDIMScheduler if ddim else DDPMScheduler)(**shared, **variance),
        steps=len(process),
        eta=solver.eta if isinstance(solver, DDIM) else 0.0,
        timesteps=None if spacing else process.timesteps.tolist(),
        samples_variance=process.learns_variance and not ddim,
        plain=spacing is not None,
    )


def _multistep(solver: MultistepSolver, process: Process) -> Chain:
    """A multistep scheduler; its dynamic thresholding at a largest value of 1 is clipping to [-1, 1]."""
    betas = solver.usable(process)
    expecting_images = solver.scheduler(betas.numpy())
    own = {"prediction_type": PREDICTIONS[process.prediction], "thresholding": True, "sample_max_value": 1.0}
    timesteps = (
        None
        if process.timestep_scale == 1 and len(process) == process.steps
        else process.timesteps[: len(betas)].tolist()
    )
    return Chain(
        scheduler=type(expecting_images).from_config(expecting_images.config, **own, **_betas(betas)),
        steps=solver.steps,
        eta=0.0,
        timesteps=timesteps,
        samples_variance=False,
        plain=timesteps is None and not isinstance(solver, UniPC),  # its scheduler takes no generator, which they pass
    )


def _betas(betas: Tensor) -> dict[str, Any]:
    """The betas as a list: diffusers' "linear" holds for 1000 steps alone, and its tables are float32 by formula."""
    return {"num_train_timesteps": len(betas), "trained_betas": betas.tolist()}


def _spacing(process: Process, ddim: bool) -> str | None:
    """diffusers' name for the spacing of the kept steps; None where it has none, or timesteps are rescaled."""
    total, count = process.steps, len(process)
    even = torch.linspace(0, total - 1, count, dtype=torch.float64).round().long().tolist()
    if process.timestep_scale != 1:
        return None
    if process.kept == even and not ddim:  # their DDIM takes a wrong previous step here (diffusers issue 12633)
        return "linspace"
    return "leading" if total % count == 0 and process.kept == list(range(0, total, total // count)) else None
