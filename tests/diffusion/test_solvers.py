"""Solvers on Gaussian data, where mean and spread of what they make are known, and how they treat the network."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from genkit.core import catalog
from genkit.core.errors import RecipeError
from genkit.core.randomness import Rows
from genkit.diffusion.multistep import DPMSolver, UniPC
from genkit.diffusion.process import Process
from genkit.diffusion.solvers import DDIM, Ancestral, Denoising, Solver
from tests.diffusion.gaussian import Counted, Gaussian, moments

DATA = Gaussian(0.3, 0.5)
FIXED = {"variance": "fixed_small"}


@pytest.mark.parametrize("prediction", ["eps", "x0", "v"])
@pytest.mark.parametrize("kept", ["2", "10", "ddim25", "5,10,20"])
def test_ancestral_sampling_with_the_true_variance_is_exact_in_any_number_of_steps(prediction: str, kept: str) -> None:
    process = Process(1000, prediction=prediction, variance="learned", kept=kept)
    mean, spread = moments(Ancestral(), DATA.denoising(process), len(process))
    lost = DATA.spread(process.abar[0]).item() / DATA.std**2  # the last step adds no noise
    start = process.abar[-1].item() * DATA.mean  # what is left of the image at the start, where pure noise is taken
    assert mean == pytest.approx(0.3, abs=1e-3 + start)
    assert spread == pytest.approx(0.5 * (1 - lost) ** 0.5, rel=2e-3)


SOLVERS: list[tuple[Solver, int, float]] = [
    (Ancestral("250"), 250, 0.02),
    (Ancestral("250", variance="fixed_large"), 250, 0.02),
    (DDIM("250"), 1, 0.02),
    (DDIM("ddim100"), 1, 0.04),
    (DDIM("250", eta=0.5), 250, 0.02),
    (DDIM("250", eta=1.0), 250, 0.02),
    (DPMSolver(25), 1, 0.01),
    (DPMSolver(100, 3), 1, 0.005),
    (UniPC(25), 1, 0.01),
    (UniPC(100, 3), 1, 0.005),
]


@pytest.mark.parametrize(("solver", "draws", "within"), SOLVERS, ids=lambda v: str(getattr(v, "config", v)))
def test_mean_and_spread_of_the_data(solver: Solver, draws: int, within: float) -> None:
    mean, spread = moments(solver, DATA.denoising(Process(1000, **FIXED)), draws)
    assert mean == pytest.approx(0.3, abs=0.5 * within) and spread == pytest.approx(0.5, rel=within)


def towards(target: float, width: float, process: Process) -> Any:
    """grad log p(y | x_t) where y says that x_0 was measured as `target`, with error N(0, width^2)."""

    def gradient(x_t: Tensor, mean: Tensor, timestep: Tensor) -> Tensor:
        abar = process.abar[timestep.long()].view(-1, 1)
        slope = abar.sqrt() * DATA.std**2 / (abar * DATA.std**2 + 1 - abar)
        said = DATA.image(abar, x_t.double())
        return ((target - said) / (DATA.spread(abar) + width**2) * slope).float()

    return gradient


@pytest.mark.parametrize(
    ("solver", "draws", "within"),
    [(Ancestral("250"), 250, 0.03), (DDIM("250"), 1, 0.02), (DPMSolver(100), 1, 0.02), (UniPC(100), 1, 0.02)],
    ids=["ancestral", "ddim", "dpm_solver", "unipc"],
)
def test_a_true_classifier_guides_to_the_posterior(solver: Solver, draws: int, within: float) -> None:
    process, width, target = Process(1000, **FIXED), 0.3, -0.7
    denoising = replace(DATA.denoising(process), gradient=towards(target, width, process))
    precision = 1 / 0.5**2 + 1 / width**2
    mean, spread = moments(solver, denoising, draws)
    assert mean == pytest.approx((0.3 / 0.5**2 + target / width**2) / precision, abs=within)
    assert spread == pytest.approx(precision**-0.5, rel=within)


def test_ddim_with_eta_1_is_ancestral_sampling_with_the_small_variance() -> None:
    denoising, rows = (
        DATA.denoising(Process(1000, **FIXED)),
        [Rows(3, torch.Generator().manual_seed(1)) for _ in range(2)],
    )
    a = Ancestral("20").run(denoising, rows[0], (4,))
    b = DDIM("20", eta=1).run(denoising, rows[1], (4,))
    torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)
    assert (DDIM("20").run(denoising, Rows(3, torch.Generator().manual_seed(1)), (4,)) - a).abs().max() > 0.05


def test_inversion_finds_the_noise() -> None:
    """The flow of Gaussian data maps x_0 to (x_0 - mean) / std."""
    x0 = torch.tensor([[-0.9], [0.3], [0.8]])
    errors = {}
    for kept in ("50", "250"):
        solver, denoising = DDIM(kept), DATA.denoising(Process(1000, **FIXED))
        noise = solver.invert(denoising, x0)
        back = solver.run(denoising, Replay(noise), (1,))
        errors[kept] = [(noise - (x0 - 0.3) / 0.5).abs().max().item(), (back - x0).abs().max().item()]
    assert max(errors["250"]) < 0.02
    assert all(few > 3 * many for few, many in zip(errors["50"], errors["250"], strict=True)), errors


class Replay(Rows):
    """Hands out what it is given, once."""

    def __init__(self, noise: Tensor):
        self.noise = [noise]

    def draw(self, sampler: Any) -> Tensor:
        return self.noise.pop()


def test_inversion_keeps_no_graph_and_counts() -> None:
    weight, seen = torch.ones((), requires_grad=True), []
    denoising = Denoising(Process(100, **FIXED), lambda x, timestep: weight * x)
    found = DDIM("10").invert(denoising, torch.zeros(1, 2), lambda done, total: seen.append((done, total)))
    assert not found.requires_grad and seen == [(k, 10) for k in range(1, 11)]


@pytest.mark.parametrize(
    ("solver", "timesteps"),
    [
        (Ancestral("4"), [99, 66, 33, 0]),
        (Ancestral("4", variance="fixed_large"), [99, 66, 33, 0]),
        (DDIM("ddim4", eta=0.3), [75, 50, 25, 0]),
        (DDIM(4), [99, 66, 33, 0]),
        (Ancestral(), list(range(99, -1, -1))),
    ],
    ids=["ancestral", "another variance", "ddim notation", "ddim", "every step"],
)
def test_the_network_is_called_once_a_step_and_told_its_number_in_training(
    solver: Solver, timesteps: list[int]
) -> None:
    network, seen = Counted(lambda x_t, timestep: x_t), []
    denoising = Denoising(Process(100, **FIXED), network)
    x = solver.run(denoising, Rows(2), (1, 3, 3), lambda done, total: seen.append((done, total)))
    assert network.timesteps == timesteps and x.shape == (2, 1, 3, 3)
    assert seen == [(k, len(timesteps)) for k in range(1, len(timesteps) + 1)]


def test_images_are_clipped_where_asked() -> None:
    process = Process(100, prediction="x0", **FIXED)
    for solver in (Ancestral("5"), DDIM("5"), DPMSolver(5), UniPC(5)):
        clipped, free = (
            solver.run(Denoising(process, lambda x_t, timestep: torch.full_like(x_t, 3.0), clip=clip), Rows(1), (2,))
            for clip in (True, False)
        )
        assert clipped.max() < 1.001 and free.min() > 2.5


@pytest.mark.parametrize("steps", ["1", "0", 0, "ddim400", "1001", "ddim", -3])
@pytest.mark.parametrize("kind", ["ancestral", "ddim"])
def test_steps_that_cannot_be_taken_are_refused_in_one_line(kind: str, steps: Any) -> None:
    solver = catalog.build({"type": kind, "steps": steps})
    process = Process(1000, **FIXED)
    for refused in (
        lambda: solver.check(process),
        lambda: solver.run(Denoising(process, lambda x_t, timestep: x_t), Rows(1), (1,)),
    ):
        with pytest.raises(RecipeError, match=r"^steps '") as refusal:
            refused()
        assert "\n" not in str(refusal.value)


def test_a_solver_is_read_back_from_its_config() -> None:
    for solver in (Ancestral(50), DDIM("ddim25", eta=0.2), Ancestral("9", "fixed_small"), DPMSolver(9, 3), UniPC()):
        again = catalog.build(solver.config)
        assert type(again) is type(solver) and vars(again) == vars(solver)
    with pytest.raises(RecipeError, match="eta"):
        catalog.build({"type": "ddim", "eta": 1.5})


def test_ancestral_sampling_may_replace_a_learned_variance() -> None:
    process = Process(100)

    def network(x_t: Tensor, timestep: Tensor) -> Tensor:
        return torch.cat([0.2 * x_t, torch.full_like(x_t, 9.0)], 1)

    def run(solver: Solver, process: Process = process) -> Tensor:
        return solver.run(Denoising(process, network), Rows(2, torch.Generator().manual_seed(0)), (1, 2))

    for variance in ("fixed_small", "fixed_large"):
        want = run(Ancestral("10"), process.with_settings(variance=variance))
        assert run(Ancestral("10", variance)).equal(want)
        assert not run(Ancestral("10")).equal(want)
