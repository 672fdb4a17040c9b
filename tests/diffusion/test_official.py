"""The process, losses, solvers, guidance and bound, against tensors computed by the authors' code."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from genkit import foreign
from genkit.core.errors import RecipeError
from genkit.core.randomness import Randomness, Sampler
from genkit.diffusion.losses import (
    BoundLoss,
    DiffusionLoss,
    Hybrid,
    Simple,
    bound_term,
    bound_terms,
    discretised_log_likelihood,
)
from genkit.diffusion.process import Process
from genkit.diffusion.schedules import space_steps
from genkit.diffusion.solvers import DDIM, Ancestral, Denoising
from genkit.diffusion.step_choice import SecondMoment
from tests.shared import shared

CLOSE = {"rtol": 1e-4, "atol": 2e-5}
TABLE = {"rtol": 1e-10, "atol": 0.0}
BOUND = {"rtol": 2e-3, "atol": 1e-4}


class Given(Randomness):
    """Hands out recorded noise, in order."""

    def __init__(self, *noise: Tensor):
        self.noise = list(noise)

    def draw(self, sampler: Sampler) -> Tensor:
        return self.noise.pop(0)


def folder(name: str) -> Any:
    return shared("fixtures", "ddpm", name)


@pytest.fixture(scope="module")
def io() -> dict[str, Tensor]:
    return load_file(folder("process") / "io.safetensors")


@pytest.fixture(scope="module")
def config() -> dict[str, Any]:
    return json.loads((folder("process") / "config.json").read_text())


def loaded(layout: str, name: str) -> Any:
    settings = json.loads((folder(name) / "config.json").read_text())
    module = foreign.load(layout, load_file(folder(name) / "weights.safetensors"), settings)
    return module.requires_grad_(False)


@pytest.fixture(scope="module")
def unet() -> Any:
    return loaded("guided-diffusion/unet", "unet")


@pytest.fixture(scope="module")
def classifier() -> Any:
    return loaded("guided-diffusion/classifier", "classifier")


def test_schedules(io: dict[str, Tensor]) -> None:
    names = {
        "betas": "betas",
        "alphas_cumprod": "abar",
        "posterior_variance": "posterior_variance",
        "posterior_log_variance_clipped": "posterior_log_variance",
        "posterior_mean_coef1": "posterior_x0",
        "posterior_mean_coef2": "posterior_x_t",
    }
    keys = [key.split(".") for key in io if key.startswith("schedule.")]
    assert keys
    for _, schedule, steps, what in keys:
        process = Process(steps=int(steps), schedule=schedule)
        torch.testing.assert_close(getattr(process, names[what]), io[f"schedule.{schedule}.{steps}.{what}"], **TABLE)


def test_respaced_steps(config: dict[str, Any], io: dict[str, Tensor]) -> None:
    for key, want in config["respacing"].items():
        steps, kept = key.split("|")
        assert space_steps(int(steps), kept) == want, key
    keys = [key.split(".") for key in io if key.startswith("respace.") and key.endswith(".betas")]
    assert keys
    for _, schedule, steps, kept, _ in keys:
        process = Process(steps=int(steps), schedule=schedule, kept=kept)
        torch.testing.assert_close(process.betas, io[f"respace.{schedule}.{steps}.{kept}.betas"], **TABLE)
        assert process.timesteps.tolist() == io[f"respace.{schedule}.{steps}.{kept}.timesteps"].tolist()


def test_impossible_spacings_are_refused(config: dict[str, Any]) -> None:
    for key in config["respacing_must_raise"]:
        steps, kept = key.split("|")
        with pytest.raises(RecipeError, match=r"^steps '"):
            space_steps(int(steps), kept)


def step_process(config: dict[str, Any], **settings: Any) -> Process:
    return Process(steps=config["step"]["T"], schedule=config["step"]["schedule"], **settings)


def test_noising_and_posterior(io: dict[str, Tensor], config: dict[str, Any]) -> None:
    process, i = step_process(config), io["step.t"]
    x_t = process.noised(io["step.x0"], i, io["step.noise"])
    torch.testing.assert_close(x_t, io["step.x_t"], **CLOSE)
    torch.testing.assert_close(process.posterior_mean(io["step.x0"], x_t, i), io["step.q_posterior.mean"], **CLOSE)
    for name, key in (("small", "variance"), ("log_small", "log_variance_clipped")):
        got = process.look_up(name, i, x_t).expand_as(x_t)
        torch.testing.assert_close(got, io[f"step.q_posterior.{key}"], **CLOSE)


@pytest.mark.parametrize("variance", ["fixed_small", "fixed_large", "learned", "learned_range"])
@pytest.mark.parametrize("clip", [False, True])
def test_what_an_output_says(variance: str, clip: bool, io: dict[str, Tensor], config: dict[str, Any]) -> None:
    output = io["step.model_output"].clone()
    if variance == "learned":
        output[:, output.shape[1] // 2 :] -= 5
    p = step_process(config, variance=variance).predict(output, io["step.x_t"], io["step.t"], clip=clip)
    compare_prediction(p, io, f"pmv.{variance}.clip{int(clip)}")


def test_an_output_that_is_the_image(io: dict[str, Tensor], config: dict[str, Any]) -> None:
    output = io["pmv.start_x.model_output"]
    candidates = [
        step_process(config, prediction="x0", variance=variance).predict(
            output, io["step.x_t"], io["step.t"], clip=True
        )
        for variance in ("fixed_small", "fixed_large", "learned_range")
    ]
    [p] = [p for p in candidates if torch.allclose(p.log_variance, io["pmv.start_x.log_variance"], atol=1e-4)]
    torch.testing.assert_close(p.mean, io["pmv.start_x.mean"], **CLOSE)
    torch.testing.assert_close(p.x0, io["pmv.start_x.pred_xstart"], **CLOSE)


def compare_prediction(p: Any, io: dict[str, Tensor], prefix: str) -> None:
    names = {"x0": "pred_xstart", "mean": "mean", "variance": "variance", "log_variance": "log_variance"}
    for ours, theirs in names.items():
        torch.testing.assert_close(getattr(p, ours), io[f"{prefix}.{theirs}"], **CLOSE)


@pytest.fixture(params=["full", "spaced"])
def case(request: pytest.FixtureRequest, io: dict[str, Tensor], config: dict[str, Any]) -> Any:
    """One step from recorded x_t at recorded steps with the recorded output."""
    settings, name = config["sample"], request.param
    process = Process(steps=settings["T"], schedule=settings["schedule"], kept=settings[name])
    denoising = Denoising(process, lambda x_t, timestep: io["step.model_output"])
    at = {key.removeprefix(f"sample.{name}."): value for key, value in io.items() if key.startswith(f"sample.{name}.")}
    return denoising, at


def rowwise(
    step: Any, denoising: Denoising, at: dict[str, Tensor], io: dict[str, Tensor], guided: bool = False
) -> Tensor:
    """`step` of each row alone, since every row is at another step."""
    rows = []
    for k, i in enumerate(at["t_index"].tolist()):
        one = slice(k, k + 1)
        gradient = (lambda x_t, mean, timestep, one=one: io["step.cond_grad"][one]) if guided else None
        mine = replace(denoising, output=lambda x_t, timestep, one=one: io["step.model_output"][one], gradient=gradient)
        rows.append(step(mine, at["x_t"][one], i, Given(at["step_noise"][one])))
    return torch.cat(rows)


def test_the_network_is_told_original_steps(case: Any) -> None:
    denoising, at = case
    assert denoising.process.timesteps[at["t_index"]].tolist() == at["t_network"].tolist()


def test_ancestral_step(case: Any, io: dict[str, Tensor]) -> None:
    denoising, at = case
    torch.testing.assert_close(rowwise(Ancestral().step, denoising, at, io), at["ddpm.sample"], **CLOSE)
    guided = rowwise(Ancestral().step, denoising, at, io, guided=True)
    torch.testing.assert_close(guided, at["guided.ddpm.sample"], **CLOSE)
    with_gradient = replace(denoising, gradient=lambda x_t, mean, timestep: io["step.cond_grad"])
    p = with_gradient.predict(at["x_t"], at["t_index"])
    mean = with_gradient.guided_mean(p, at["x_t"], at["t_index"])
    torch.testing.assert_close(mean, at["guided.condition_mean"], **CLOSE)


@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
def test_ddim_step(eta: float, case: Any, io: dict[str, Tensor]) -> None:
    denoising, at = case
    torch.testing.assert_close(rowwise(DDIM(eta=eta).step, denoising, at, io), at[f"ddim.eta{eta}.sample"], **CLOSE)
    guided = rowwise(DDIM(eta=eta).step, denoising, at, io, guided=True)
    torch.testing.assert_close(guided, at[f"guided.ddim.eta{eta}.sample"], **CLOSE)


def test_ddim_without_clipping_and_backwards(case: Any, io: dict[str, Tensor]) -> None:
    denoising, at = case
    unclipped = rowwise(DDIM().step, replace(denoising, clip=False), at, io)
    torch.testing.assert_close(unclipped, at["ddim_noclip.eta0.0.sample"], **CLOSE)
    up = rowwise(lambda denoising, x, i, noise: DDIM().step_up(denoising, x, i), denoising, at, io)
    torch.testing.assert_close(up, at["ddim_reverse.sample"], **CLOSE)


def test_guided_image_is_not_clipped_again(case: Any, io: dict[str, Tensor]) -> None:
    denoising, at = case
    denoising = replace(denoising, gradient=lambda x_t, mean, timestep: io["step.cond_grad"])
    p = denoising.predict(at["x_t"], at["t_index"])
    x0 = denoising.process.x0_from_eps(denoising.guided_eps(p, at["x_t"], at["t_index"]), at["x_t"], at["t_index"])
    torch.testing.assert_close(x0, at["guided.condition_score.pred_xstart"], **CLOSE)
    mean = denoising.process.posterior_mean(x0, at["x_t"], at["t_index"])
    torch.testing.assert_close(mean, at["guided.condition_score.mean"], **CLOSE)


def official_loss(kind: str) -> DiffusionLoss:
    return {
        "MSE": Hybrid("guided_diffusion"),
        "RESCALED_MSE": Hybrid("improved_diffusion"),
        "KL": BoundLoss(),
        "RESCALED_KL": BoundLoss(),
    }[kind]


def test_training_losses(io: dict[str, Tensor], config: dict[str, Any], unet: Any) -> None:
    for name, wanted in config["loss"].items():
        process = Process(steps=wanted["T"], schedule=wanted["schedule"], rescale_steps=wanted["rescale_timesteps"])
        i = torch.tensor(wanted["t"])
        x_t = process.noised(io["loss.x0"], i, io["loss.noise"])
        output = unet(x_t, process.timesteps[i], io["loss.y"])
        terms = official_loss(wanted["loss_type"])(process, output, io["loss.x0"], io["loss.noise"], i)
        scale = wanted["T"] if wanted["loss_type"] == "KL" else 1  # theirs is one step's term there
        theirs = {"mse": "mse", "bound": "vb"} if "MSE" in wanted["loss_type"] else {"bound": "loss"}
        assert set(terms) == set(theirs)
        for ours, key in theirs.items():
            torch.testing.assert_close(terms[ours] / scale, io[f"loss.{name}.{key}"], **BOUND)
        total = torch.stack(list(terms.values())).sum(0) / scale
        torch.testing.assert_close(total, io[f"loss.{name}.loss"], **BOUND)


def test_the_bound_does_not_reach_the_prediction(io: dict[str, Tensor], config: dict[str, Any]) -> None:
    process, i = step_process(config), io["step.t"]
    output = io["step.model_output"].clone().requires_grad_()
    terms = Hybrid()(process, output, io["step.x0"], io["step.noise"], i)
    torch.testing.assert_close(terms["bound"], io["loss.stopgrad.vb"], **BOUND)
    torch.testing.assert_close(terms["mse"], io["loss.stopgrad.mse"], **CLOSE)
    (terms["mse"] + terms["bound"]).mean().backward()
    torch.testing.assert_close(output.grad, io["loss.stopgrad.grad_model_output"], rtol=1e-3, atol=1e-6)
    (alone,) = torch.autograd.grad(Simple()(process, output, io["step.x0"], io["step.noise"], i)["mse"].mean(), output)
    half = output.shape[1] // 2
    torch.testing.assert_close(output.grad[:, :half], alone[:, :half])


def test_bits_per_dimension(io: dict[str, Tensor], config: dict[str, Any], unet: Any) -> None:
    settings = config["bpd"]
    process = Process(steps=settings["T"], schedule=settings["schedule"], kept=settings["respacing"])
    denoising = Denoising(process, lambda x_t, timestep: unet(x_t, timestep, io["bpd.y"]))
    terms = bound_terms(denoising, io["bpd.x0"], Given(*io["bpd.noise"]))
    for ours, theirs in {"bound": "vb", "x0_mse": "xstart_mse", "eps_mse": "mse", "prior": "prior_bpd"}.items():
        torch.testing.assert_close(terms[ours], io[f"bpd.{theirs}"], **BOUND)
    torch.testing.assert_close(terms["bound"].sum(1) + terms["prior"], io["bpd.total_bpd"], **BOUND)


def test_discretised_likelihood(io: dict[str, Tensor]) -> None:
    got = discretised_log_likelihood(io["dnll.x"], io["dnll.mean"], io["dnll.log_scale"])
    torch.testing.assert_close(got, io["dnll.log_prob_nats"], rtol=2e-3, atol=1e-4)


def test_second_moment_sampler(io: dict[str, Tensor], config: dict[str, Any]) -> None:
    settings = config["is"]
    steps = SecondMoment(groups=0, history=settings["history_per_term"], uniform=settings["uniform_prob"])
    steps.setup(settings["num_timesteps"])
    for k, (t, loss) in enumerate(zip(io["is.t"], io["is.loss"], strict=True)):
        steps.learn(t[None], loss[None])
        warm = bool((steps.seen >= steps.history).all())
        assert warm == bool(io["is.warm_after_each"][k]), k
        p = steps.probabilities()
        want = io["is.weights_after_each"][k]
        torch.testing.assert_close(p, want / want.sum(), rtol=1e-6, atol=0)
    torch.testing.assert_close(p, io["is.prob_final"], rtol=1e-6, atol=0)
    weights = 1 / (settings["num_timesteps"] * p)
    torch.testing.assert_close(weights, io["is.importance_weight_per_t"], rtol=1e-6, atol=0)


def test_whole_chains(io: dict[str, Tensor], config: dict[str, Any], unet: Any, classifier: Any) -> None:
    y = io["chain.y"]
    for name, settings in config["chain"].items():
        solver = DDIM(settings["respacing"], settings["eta"]) if settings["sampler"] == "ddim" else None
        solver = solver or Ancestral(settings["respacing"])
        scale = settings["classifier_scale"]

        def gradient(x_t: Tensor, mean: Tensor, timestep: Tensor, scale: float = scale) -> Tensor:
            x = x_t.detach().requires_grad_()
            log_p = classifier(x, timestep).log_softmax(1).gather(1, y[:, None]).sum()
            return scale * torch.autograd.grad(log_p, x)[0]

        process = Process(steps=settings["T"], schedule=settings["schedule"])
        denoising = Denoising(
            process,
            lambda x_t, timestep: unet(x_t, timestep, y),
            gradient if scale else None,
            settings["clip_denoised"],
        )
        noise = io.get(f"chain.{name}.noise", torch.zeros(0))
        seen: list[Tensor] = []
        given = Given(io["chain.x_T"], *noise)
        step = solver.step
        solver.step = lambda *a, step=step, seen=seen: seen.append(step(*a)) or seen[-1]
        with torch.no_grad():
            grad_on = torch.enable_grad()
            with grad_on:
                solver.run(denoising, given, io["chain.x_T"].shape[1:])
        want = io[f"chain.{name}.samples"]
        got = torch.stack(seen)
        assert (got - want).abs().max() <= 2e-3 * want.abs().max(), name


def test_first_step_of_the_bound_is_the_likelihood(io: dict[str, Tensor], config: dict[str, Any]) -> None:
    process = step_process(config)
    i = torch.zeros(len(io["step.x0"]), dtype=torch.long)
    x_t = process.noised(io["step.x0"], i, io["step.noise"])
    p = process.predict(io["step.model_output"], x_t, i, clip=False)
    nats = discretised_log_likelihood(io["step.x0"], p.mean, 0.5 * p.log_variance).flatten(1).mean(1)
    got = bound_term(process, io["step.model_output"], io["step.x0"], x_t, i, clip=False)
    torch.testing.assert_close(got * torch.log(torch.tensor(2.0)), -nats)
