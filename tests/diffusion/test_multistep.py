"""The solvers of diffusers, beside a plain loop over their schedulers."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from diffusers import DPMSolverMultistepScheduler, UniPCMultistepScheduler
from torch import Tensor

from genkit.core import catalog
from genkit.core.errors import RecipeError
from genkit.core.randomness import Rows
from genkit.diffusion.multistep import NOISIEST, DPMSolver, UniPC
from genkit.diffusion.process import Process
from genkit.diffusion.solvers import Denoising
from tests.diffusion.gaussian import Counted, Gaussian

KINDS = [(DPMSolver, DPMSolverMultistepScheduler), (UniPC, UniPCMultistepScheduler)]
kinds = pytest.mark.parametrize(("ours", "theirs"), KINDS, ids=["dpm_solver", "unipc"])
LINEAR: dict[str, Any] = {"schedule": "linear", "variance": "fixed_small"}


def crooked(x_t: Tensor, timestep: Tensor) -> Tensor:
    """Some noise, neither linear nor the same at all steps."""
    return (x_t + 0.001 * timestep.view(-1, 1, 1, 1)).tanh()


def rows(n: int = 3) -> Rows:
    return Rows(n, torch.Generator().manual_seed(5))


def plain_loop(scheduler: Any, eps: Any, steps: int) -> Tensor:
    """Sampling as diffusers' own examples write it."""
    scheduler.set_timesteps(steps)
    x = rows().normal(1, 4, 4)
    for t in scheduler.timesteps:
        x = scheduler.step(eps(x, t.expand(len(x))), t, x).prev_sample
    return x


@kinds
@pytest.mark.parametrize(("steps", "order"), [(1, 1), (7, 1), (7, 2), (20, 2), (10, 3)])
def test_a_plain_loop_over_the_scheduler(ours: Any, theirs: Any, steps: int, order: int) -> None:
    process = Process(1000, **LINEAR)
    scheduler = theirs(1000, beta_start=1e-4, beta_end=0.02, beta_schedule="linear", solver_order=order)
    want = plain_loop(scheduler, crooked, steps)
    got = ours(steps, order).run(Denoising(process, crooked, clip=False), rows(), (1, 4, 4))
    torch.testing.assert_close(got, want, rtol=1e-4, atol=1e-3)
    assert want.std() > 0.1


@kinds
def test_guidance_shifts_the_noise(ours: Any, theirs: Any) -> None:
    process = Process(1000, **LINEAR)

    def gradient(x_t: Tensor, mean: Tensor, timestep: Tensor) -> Tensor:
        return 0.7 - 0.2 * x_t

    def shifted(x_t: Tensor, timestep: Tensor) -> Tensor:
        noise = (1 - process.abar[timestep.long()]).sqrt().float().view(-1, 1, 1, 1)
        return crooked(x_t, timestep) - noise * gradient(x_t, x_t, timestep)

    want = plain_loop(theirs(1000, beta_start=1e-4, beta_end=0.02, beta_schedule="linear"), shifted, 12)
    got = ours(12).run(Denoising(process, crooked, gradient, clip=False), rows(), (1, 4, 4))
    torch.testing.assert_close(got, want, rtol=1e-4, atol=1e-3)
    unguided = ours(12).run(Denoising(process, crooked, clip=False), rows(), (1, 4, 4))
    assert (got - unguided).abs().max() > 0.1


@kinds
def test_guided_images_are_clipped(ours: Any, theirs: Any) -> None:
    """A steep classifier under a cosine schedule, whose noisiest steps magnify its gradient a hundredfold."""
    process = Process(1000, prediction="eps", variance="fixed_small")

    def steep(x_t: Tensor, mean: Tensor, timestep: Tensor) -> Tensor:
        return torch.full_like(x_t, 3.0)

    found = [
        ours(10).run(Denoising(process, lambda x_t, timestep: torch.zeros_like(x_t), steep, clip), rows(), (1, 4, 4))
        for clip in (True, False)
    ]
    assert found[0].abs().max() <= 1 + 1e-5 and found[1].abs().max() > 1.5


@kinds
@pytest.mark.parametrize(("steps", "order"), [(1, 2), (2, 3), (9, 2), (25, 3)])
def test_evaluations_are_what_was_asked_for(ours: Any, theirs: Any, steps: int, order: int) -> None:
    network, seen = Counted(crooked), []
    process = Process(1000, prediction="eps", variance="fixed_small")
    ours(steps, order).run(Denoising(process, network), rows(2), (1, 4, 4), lambda *done: seen.append(done))
    assert len(network.timesteps) == len(set(network.timesteps)) == steps and network.timesteps == sorted(
        network.timesteps, reverse=True
    )
    assert seen == [(k, steps) for k in range(1, steps + 1)]
    log_snr = (process.abar / (1 - process.abar)).log() / 2
    first = int(network.timesteps[0])
    assert log_snr[first] >= NOISIEST > log_snr[first + 1], "starts at the first step that tells something"


@kinds
def test_a_respaced_process_tells_its_own_steps(ours: Any, theirs: Any) -> None:
    network, process = Counted(crooked), Process(1000, variance="fixed_small", kept="50")
    ours(10).run(Denoising(process, network), rows(2), (1, 4, 4))
    assert set(network.timesteps) <= set(process.kept) and max(network.timesteps) > 900


@kinds
@pytest.mark.parametrize("order", [1, 2, 3])
def test_as_many_steps_as_are_accepted_work_and_more_are_refused(ours: Any, theirs: Any, order: int) -> None:
    process = Process(20, variance="fixed_small")
    denoising = Denoising(process, crooked)
    with pytest.raises(
        RecipeError, match=r"steps: 20 evaluations are too many for this process; use at most (\d+)"
    ) as no:
        ours(20, order).run(denoising, rows(), (1, 4, 4))
    most = int(str(no.value).split()[-1])
    assert ours(most, order).run(denoising, rows(), (1, 4, 4)).isfinite().all() and most >= 17
    ours(most, order).check(process)
    with pytest.raises(RecipeError):
        ours(most + 1, order).check(process)


@kinds
def test_the_error_falls_with_the_order(ours: Any, theirs: Any) -> None:
    data, process = Gaussian(0.3, 0.5), Process(1000, **LINEAR)
    want = 0.3 + 0.5 * rows(8).normal(1)
    first, second = (
        (ours(30, order).run(data.denoising(process), rows(8), (1,)) - want).abs().max().item() for order in (1, 2)
    )
    assert second < first / 3 and second < 0.02


@pytest.mark.parametrize("bad", [{"steps": 0}, {"steps": "ddim50"}, {"order": 4}, {"order": 0}, {"eta": 1}])
def test_bad_settings_are_refused_in_one_line(bad: dict[str, Any]) -> None:
    for kind in ("dpm_solver", "unipc"):
        with pytest.raises(RecipeError, match=next(iter(bad))) as refusal:
            catalog.build({"type": kind, **bad})
        assert "\n" not in str(refusal.value)
