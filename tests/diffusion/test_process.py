from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from genkit.core import catalog
from genkit.core.errors import RecipeError
from genkit.diffusion.process import Process
from tests.diffusion.gaussian import Gaussian

FIXED = {"variance": "fixed_small"}
PROCESSES = [
    {"steps": 1000, "schedule": "linear"},
    {"steps": 4000},
    {"steps": 4000, "schedule": "linear", "kept": "50"},
    {"steps": 1000, "kept": "ddim25"},
    {"steps": 5, "schedule": [0.1, 0.2, 0.3, 0.4, 0.5]},
]
processes = pytest.mark.parametrize("settings", PROCESSES, ids=str)


@processes
def test_posterior_by_bayes(settings: dict[str, Any]) -> None:
    """q(x_{t-1} | x_t, x_0) is the product of q(x_{t-1} | x_0) and q(x_t | x_{t-1}): precisions add."""
    p = Process(**settings)
    before, beta = p.abar[:-1], p.betas[1:]
    precision = 1 / (1 - before) + (1 - beta) / beta
    torch.testing.assert_close(p.posterior_variance[1:], 1 / precision, rtol=1e-9, atol=0)
    torch.testing.assert_close(p.posterior_x0[1:], before.sqrt() / (1 - before) / precision, rtol=1e-9, atol=0)
    torch.testing.assert_close(p.posterior_x_t[1:], (1 - beta).sqrt() / beta / precision, rtol=1e-9, atol=0)
    assert p.posterior_variance[0] == p.posterior_x_t[0] == 0 and p.posterior_x0[0].item() == pytest.approx(
        1, abs=1e-12
    )
    assert p.posterior_log_variance[0] == p.posterior_log_variance[1] == p.posterior_variance[1].log()


@processes
def test_tables_are_rounded_once(settings: dict[str, Any]) -> None:
    p = Process(**settings)
    zero, all_steps = torch.zeros(1), torch.arange(len(p))
    exact = {
        "abar": p.abar,
        "noise": (1 - p.abar).sqrt(),
        "noise_per_signal": ((1 - p.abar) / p.abar).sqrt(),
        "x0": p.posterior_x0,
        "log_small": p.posterior_log_variance,
        "log_beta": p.betas.log(),
    }
    for name, table in exact.items():
        assert table.dtype == torch.float64
        torch.testing.assert_close(p.look_up(name, all_steps, zero), table.float(), rtol=2e-7, atol=0)
    assert p.look_up("abar_before", all_steps, zero)[0] == 1 and p.look_up("abar_after", all_steps, zero)[-1] == 0
    torch.testing.assert_close(p.abar, (1 - p.betas).cumprod(0), rtol=1e-12, atol=0)
    assert not p.state_dict(), "tables are no weights"


@pytest.mark.parametrize("kept", ["50", "ddim25", "10,15,20"])
def test_a_respaced_process_noises_as_the_full_one(kept: str) -> None:
    full, spaced = Process(1000), Process(1000, kept=kept)
    torch.testing.assert_close(spaced.abar, full.abar[spaced.kept], rtol=1e-11, atol=0)
    assert spaced.timesteps.tolist() == spaced.kept and len(spaced) == len(spaced.kept)
    x0, noise, i = torch.randn(3, 1, 2, 2), torch.randn(3, 1, 2, 2), torch.tensor([0, 3, len(spaced) - 1])
    torch.testing.assert_close(spaced.noised(x0, i, noise), full.noised(x0, torch.tensor(spaced.kept)[i], noise))


def test_noising_keeps_unit_variance_and_ends_in_noise() -> None:
    p, i = Process(1000), torch.arange(1000)
    signal, noise = (p.look_up(k, i, torch.zeros(1)).double() for k in ("signal", "noise"))
    torch.testing.assert_close(signal**2 + noise**2, torch.ones(1000, dtype=torch.float64), rtol=1e-6, atol=0)
    x0, eps = torch.full((2, 3), 2.0), torch.full((2, 3), -1.0)
    x_t = p.noised(x0, torch.tensor([0, 999]), eps)
    torch.testing.assert_close(x_t[1], eps[1], rtol=0, atol=1e-3)
    assert (x_t[0] - 2).abs().max() < 0.01


def rescaled(T: int) -> list[float]:
    return Process(T, rescale_steps=True, kept="3").timesteps.tolist()


def test_steps_are_told_on_the_scale_of_a_thousand_where_asked() -> None:
    assert rescaled(4000) == [0, 500, 999.75] and rescaled(1000) == [0, 500, 999]
    assert Process(4000, kept="3").timesteps.tolist() == [0, 2000, 3999]


@pytest.mark.parametrize("clip", [False, True])
def test_the_same_knowledge_in_eps_x0_and_v_gives_the_same_prediction(clip: bool) -> None:
    torch.manual_seed(0)
    data, x_t, i = Gaussian(0.6, 0.4), 1.5 * torch.randn(6, 1, 2, 2), torch.tensor([0, 1, 20, 200, 700, 900])
    given = {}
    for kind in ("eps", "x0", "v"):
        p = Process(1000, prediction=kind, **FIXED)
        said = data.predictions(p.abar[i].view(-1, 1, 1, 1), x_t.double())[kind].float()
        given[kind] = p.predict(said, x_t, i, clip=clip)
    want = data.image(p.abar[i].view(-1, 1, 1, 1), x_t.double())
    want = want.clamp(-1, 1) if clip else want
    for p in given.values():
        torch.testing.assert_close(p.x0, want.float(), rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(p.mean, given["x0"].mean, rtol=1e-4, atol=1e-5)
        assert p.variance.equal(given["x0"].variance) and p.log_variance.equal(given["x0"].log_variance)


@pytest.mark.parametrize("kind", ["eps", "x0", "v"])
def test_the_target_stands_for_the_image_and_its_noise(kind: str) -> None:
    torch.manual_seed(0)
    p = Process(1000, prediction=kind, **FIXED)
    x0, noise, i = torch.randn(5, 2, 3), torch.randn(5, 2, 3), torch.tensor([0, 1, 300, 600, 900])
    x_t = p.noised(x0, i, noise)
    found = p.x0_from(p.target(x0, i, noise), x_t, i)
    torch.testing.assert_close(found, x0, rtol=1e-3, atol=2e-4)
    torch.testing.assert_close(p.eps_from_x0(x0, x_t, i), noise, rtol=1e-3, atol=2e-3)
    torch.testing.assert_close(p.x0_from_eps(noise, x_t, i), x0, rtol=1e-3, atol=2e-4)


def spoken(variance: str, says: float, i: int) -> tuple[Tensor, Tensor]:
    p, x_t = Process(100, variance=variance), torch.zeros(1, 2, 1)
    return Process.variances(p, torch.full_like(x_t, says), x_t, torch.tensor([i]))


@pytest.mark.parametrize("i", [1, 50, 99])
def test_the_learned_range_goes_from_the_posterior_to_beta(i: int) -> None:
    p = Process(100)
    small, beta = p.posterior_variance[i].item(), p.betas[i].item()
    for says, want in ((-1.0, small), (1.0, beta), (0.0, (small * beta) ** 0.5)):
        variance, log_variance = spoken("learned_range", says, i)
        assert variance[0, 1, 0].item() == pytest.approx(want, rel=1e-5)
        torch.testing.assert_close(log_variance.exp(), variance)
    assert spoken("learned", -3.0, i)[1].eq(-3).all() and small < beta


def test_fixed_variances_and_their_first_step() -> None:
    p, i, x = Process(100), torch.tensor([0, 1, 99]), torch.zeros(3, 1)
    small = Process(100, variance="fixed_small").variances(None, x, i)
    large = Process(100, variance="fixed_large").variances(None, x, i)
    torch.testing.assert_close(small[0].flatten(), p.posterior_variance[i].float())
    assert small[0][0] == 0 and small[1][0] == small[1][1], "the variance of the first step is nothing, its log is cut"
    torch.testing.assert_close(large[0].flatten()[1:], p.betas[i][1:].float())
    assert large[0][0] == small[0][1]


def test_a_learned_variance_that_is_not_said_is_refused() -> None:
    with pytest.raises(RecipeError, match="'learned_range' needs a network with twice the channels"):
        Process(100).predict(torch.zeros(1, 1, 2), torch.zeros(1, 1, 2), torch.tensor([3]), clip=False)


def test_same_noise() -> None:
    """Across what is predicted, how the variance is modelled and which steps are kept; names do not matter."""
    p = Process(1000, "linear")
    assert p.same_noise(Process(1000, "linear", prediction="v", kept="25", **FIXED))
    assert p.same_noise(Process(1000, "linear", rescale_steps=True)), "at T = 1000 both are told the same"
    rounded = torch.linspace(1e-4, 0.02, 1000).tolist()
    assert p.same_noise(Process(1000, rounded)) and Process(1000, rounded).same_noise(p)
    for other in (Process(1000), Process(999, "linear"), Process(1000, torch.linspace(1e-4, 0.021, 1000).tolist())):
        assert not p.same_noise(other) and not other.same_noise(p)
    assert not Process(4000).same_noise(Process(4000, rescale_steps=True))


def test_other_settings_leave_the_rest_and_the_device() -> None:
    p = Process(4000, "linear", "v", "fixed_large", rescale_steps=True).to("meta")
    other = p.with_settings(kept="10", variance="learned")
    assert other.config == {**p.config, "kept": "10", "variance": "learned"} and len(p) == 4000
    assert {t.device.type for t in other.buffers()} == {"meta"} and len(list(other.buffers())) > 5
    assert other.with_settings(kept="20").kept[1] == Process(4000, kept="20").kept[1], "steps of training are counted"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"steps": 1000, "kept": "1"}, "leave a single step; a diffusion needs at least 2"),
        ({"steps": 1000, "kept": "0"}, "every number at least 1"),
        ({"steps": 1000, "kept": "ddim400"}, "no whole stride"),
        ({"steps": 1}, "greater than or equal to 2"),
        ({"steps": 20, "schedule": "linear"}, "a linear schedule needs more than 20"),
        ({"steps": 3, "schedule": [0.1, 0.2]}, "3 steps need 3 betas, got 2"),
        ({"steps": 2, "schedule": [0.1, 1.0]}, "schedule"),
        ({"schedule": "quadratic"}, "schedule"),
        ({"prediction": "noise"}, "prediction"),
        ({"variance": "large"}, "variance"),
    ],
)
def test_bad_settings_are_refused_in_one_line(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message) as refusal:
        catalog.build({"type": "process", **settings})
    assert "\n" not in str(refusal.value)


def test_a_spacing_may_be_a_number_and_is_read_back() -> None:
    p = Process(100, kept=10)
    assert catalog.build(p.config).kept == p.kept == Process(100, kept="10").kept
