from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from genkit.classifiers.conv_classifier import Classifier
from genkit.core import catalog
from genkit.core.errors import ConditionError, GenkitError, RecipeError
from genkit.core.generator import Generator
from genkit.diffusion.classifier_free_guidance import ClassifierFreeGuided
from genkit.diffusion.classifier_guidance import ClassifierGuided
from genkit.diffusion.ddpm import DDPM
from genkit.diffusion.multistep import DPMSolver, UniPC
from genkit.diffusion.noisy_classifier import NoisyClassifier
from genkit.diffusion.process import Process
from genkit.diffusion.solvers import DDIM, Ancestral, Solver
from tests.contracts.specs import DDPM as DDPM_SPEC
from tests.contracts.specs import NOISY, seeded
from tests.diffusion.toys import Brightness, Toy

FIXED: dict[str, Any] = {"schedule": "linear", "variance": "fixed_small"}
ROUNDING = 2e-3
"""Of sums in another order, as a network of random weights and a strong gradient enlarge it over a few steps."""
SOLVERS = [Ancestral("10"), DDIM("10"), DDIM("ddim10", eta=0.5), DPMSolver(10), UniPC(10)]


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def ddpm(solver: Solver | None = None, network: Toy | None = None, **process: Any) -> DDPM:
    return DDPM(network or Toy(), Process(100, **{**FIXED, **process}), solver or Ancestral("10"))


def guide(**process: Any) -> NoisyClassifier:
    return NoisyClassifier(Brightness(), Process(100, **{**FIXED, **process}))


def warmed(spec: dict[str, Any]) -> Any:
    """As `spec` says, without the zeros that a new network starts from."""
    made = seeded(spec).eval()
    for parameter in made.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.2)
    return made


def test_scale_zero_never_calls_the_classifier() -> None:
    model, classifier = ddpm(), guide()
    got = ClassifierGuided(model, classifier, 0.0).sample(3, condition={"label": 1}, rng=rng())
    assert not classifier.network.seen and got.equal(model.sample(3, rng=rng()))
    ClassifierGuided(model, classifier, 0.1).sample(3, condition={"label": 1}, rng=rng())
    assert len(classifier.network.seen) == 10, "once a step"


@pytest.mark.parametrize("at", ["x_t", "mean"])
def test_the_gradient_is_that_of_the_labels_log_probability(at: Any) -> None:
    spec = {**DDPM_SPEC, "network": {**DDPM_SPEC["network"], "classes": 0, "unlabelled": False}}
    classifier = warmed(NOISY)
    guided = ClassifierGuided(seeded(spec), classifier, 2.5, at)
    torch.manual_seed(0)
    x_t, mean = torch.randn(4, 1, 8, 8), torch.randn(4, 1, 8, 8)
    timestep, label = torch.tensor([0.0, 3, 10, 19]), torch.tensor([0, 9, 3, 3])
    with torch.no_grad():
        got = guided.gradient(x_t, mean, timestep, label)
    x = {"x_t": x_t, "mean": mean}[at].clone().requires_grad_()
    log_p = torch.log(classifier.network(x, timestep).softmax(1))
    (want,) = torch.autograd.grad(sum(log_p[k, y] for k, y in enumerate(label.tolist())), x)
    torch.testing.assert_close(got, 2.5 * want, rtol=1e-4, atol=1e-6)
    assert not got.requires_grad and got.abs().max() > 1e-3


def test_samples_do_not_interact() -> None:
    guided = ClassifierGuided(warmed(DDPM_SPEC), warmed(NOISY), 5.0)
    torch.manual_seed(0)
    x, timestep, label = torch.randn(3, 1, 8, 8), torch.full((3,), 7.0), torch.tensor([0, 4, 9])
    whole = guided.gradient(x, x, timestep, label)
    for k in range(3):
        one = slice(k, k + 1)
        torch.testing.assert_close(guided.gradient(x[one], x[one], timestep[one], label[one]), whole[one])
    guided.solver = Ancestral("4")
    together = guided.sample(3, condition={"label": [0, 4, 9]}, rng=rng())
    seeds = rng()
    singles = torch.cat([guided.sample(1, condition={"label": y}, rng=seeds) for y in (0, 4, 9)])
    torch.testing.assert_close(together, singles, rtol=0, atol=ROUNDING)
    swapped = guided.sample(3, condition={"label": [0, 5, 1]}, rng=rng())
    torch.testing.assert_close(swapped[0], together[0], rtol=0, atol=ROUNDING)
    assert (swapped[1] - together[1]).abs().max() > 10 * ROUNDING


@pytest.mark.parametrize("at", ["x_t", "mean"])
@pytest.mark.parametrize("solver", SOLVERS, ids=lambda s: f"{s.config['type']}-{s.steps}")
def test_samples_move_towards_the_label_and_further_with_the_scale(solver: Solver, at: Any) -> None:
    model = ddpm(solver)
    none = model.sample(16, rng=rng()).mean()
    dark = [
        ClassifierGuided(model, guide(), s, at).sample(16, condition={"label": 0}, rng=rng()).mean() for s in (1, 5)
    ]
    light = [
        ClassifierGuided(model, guide(), s, at).sample(16, condition={"label": 1}, rng=rng()).mean() for s in (1, 5)
    ]
    values = [v.item() for v in (dark[1], dark[0], none, light[0], light[1])]
    assert values == sorted(values) and min(b - a for a, b in pairwise(values)) > 1e-3, values


def test_where_the_gradient_is_taken() -> None:
    """At the start of a step, or at the mean of where it leads; and at the same number of a step."""
    model = ddpm(variance="learned_range", network=Toy(variance=True))
    at_x, at_mean = guide(), guide()
    ClassifierGuided(model, at_x, 1.0).sample(2, condition={"label": 1}, rng=rng())
    ClassifierGuided(model, at_mean, 1.0, "mean").sample(2, condition={"label": 1}, rng=rng())
    assert [t[0].item() for t in at_x.network.timesteps] == list(range(99, -1, -11))
    assert all(a.equal(b) for a, b in zip(at_x.network.timesteps, at_mean.network.timesteps, strict=True))
    start = at_x.network.seen[0]
    process = model.process.with_settings(kept="10")
    i = torch.full((2,), 9)
    p = process.predict(model.output(start, process.timesteps[i], None), start, i, clip=True)
    torch.testing.assert_close(at_mean.network.seen[0], p.mean)
    assert not p.mean.allclose(start, atol=1e-2)


def test_the_classifier_is_frozen_and_the_network_left_alone() -> None:
    model, classifier = warmed(DDPM_SPEC), warmed(NOISY).train()
    guided = ClassifierGuided(model, classifier, 1.0)
    assert not any(p.requires_grad for p in classifier.parameters()) and all(
        p.requires_grad for p in model.parameters()
    )
    guided.solver = Ancestral("2")
    before = {k: v.clone() for k, v in guided.state_dict().items()}
    guided.sample(2, rng=rng())
    assert all(p.grad is None for p in guided.parameters()) and classifier.training
    assert all(v.equal(before[k]) for k, v in guided.state_dict().items())


def test_an_unconditional_model_takes_the_labels_of_the_classifier() -> None:
    guided = ClassifierGuided(ddpm(), guide(), 8.0)
    assert guided.conditions["label"].classes == 2 and not ddpm().conditions
    drawn = guided.sample(40, rng=rng()).mean((1, 2, 3))
    assert drawn.std() > 0.1 and guided.generator.network.rows[-1] == 40
    for wrong in (2, -1, 0.5):
        with pytest.raises(ConditionError, match="label"):
            guided.sample(2, condition={"label": wrong})


def test_a_labelled_model_is_told_the_label_too() -> None:
    model = ddpm(network=Toy(classes=2))
    guided = ClassifierGuided(model, guide(), 0.0)
    for label in (0, 1):
        wanted = {"label": label}
        assert guided.sample(2, condition=wanted, rng=rng()).equal(model.sample(2, condition=wanted, rng=rng()))


OTHERS: list[tuple[Any, Any, str]] = [
    (
        {},
        lambda: guide(schedule="cosine"),
        r"another process \(100 steps, cosine, .*\) than the generator \(100 .*linear",
    ),
    ({}, lambda: NoisyClassifier(Brightness(), Process(50, **FIXED)), r"\(50 steps, linear, last timestep 49\)"),
    ({"steps": 200}, lambda: guide(rescale_steps=True), "another process"),
    (
        {"schedule": [0.01 + k / 5000 for k in range(100)]},
        guide,
        r"than the generator \(100 steps, betas 0.01 to 0.0298, last timestep 99\)",
    ),
    (
        {},
        lambda: NoisyClassifier(Brightness(size=8), Process(100, **FIXED)),
        r"takes images \[1, 8, 8\], but .* \[1, 4, 4\]",
    ),
    (
        {},
        lambda: Classifier(8, 1, 2, 4),
        "guidance takes a noisy_classifier, which sees the timestep; got a Classifier",
    ),
]


@pytest.mark.parametrize(
    ("process", "classifier", "message"), OTHERS, ids=["schedule", "T", "told", "betas", "size", "kind"]
)
def test_a_classifier_that_does_not_fit_is_refused_in_one_line(process: Any, classifier: Any, message: str) -> None:
    model = DDPM(Toy(), Process(**{"steps": 100, **FIXED, **process}), Ancestral("10"))
    with pytest.raises(GenkitError, match=message) as refusal:
        ClassifierGuided(model, classifier())
    assert "\n" not in str(refusal.value) and len(str(refusal.value)) < 250


def test_another_number_of_classes_is_refused() -> None:
    with pytest.raises(GenkitError, match="the classifier knows 2 classes, but the generator 5"):
        ClassifierGuided(ddpm(network=Toy(classes=5)), guide())
    with pytest.raises(RecipeError, match="'classifier' does not make a NoisyClassifier"):
        plain = {"type": "classifier", "size": 8, "width": 4}
        catalog.build({"type": "classifier_guided", "generator": DDPM_SPEC, "classifier": plain})
    for bad in ({"scale": -1}, {"scale": "much"}, {"at": "x_0"}):
        with pytest.raises(RecipeError, match=next(iter(bad))):
            catalog.build({"type": "classifier_guided", "generator": DDPM_SPEC, "classifier": NOISY, **bad})


def test_what_is_predicted_kept_or_learned_makes_no_other_process() -> None:
    classifier = guide(prediction="v", kept="20", variance="fixed_large")
    model = ddpm(network=Toy(variance=True), variance="learned")
    ClassifierGuided(model, classifier).sample(1, rng=rng())


def nested(at: str = "x_t") -> ClassifierGuided:
    without_label = ClassifierFreeGuided(warmed(DDPM_SPEC), 0.0)
    return ClassifierGuided(without_label, warmed(NOISY), 20.0, at)  # type: ignore[arg-type]


def test_guidance_nests_saves_and_loads(tmp_path: Path) -> None:
    guided = nested("mean")
    guided.solver = DDIM("ddim5")
    assert guided.conditions["label"].classes == 10 and not guided.generator.conditions
    labels = {"label": [1, 2, 3]}
    want = guided.sample(3, condition=labels, rng=rng())
    assert (guided.sample(3, condition={"label": [2, 2, 3]}, rng=rng()) - want)[0].abs().max() > 1e-3
    again = Generator.from_pretrained(guided.save_pretrained(tmp_path))
    assert isinstance(again, ClassifierGuided) and again.config == guided.config and again.at == "mean"
    assert again.sample(3, condition=labels, rng=rng()).equal(want)


def test_a_solver_is_exchanged_through_wrappers_and_recorded() -> None:
    guided = nested()
    before = guided.sample(2, condition={"label": 1}, rng=rng())
    guided.solver = UniPC(6)
    inner = guided.generator.generator
    assert guided.solver is inner.solver and guided.process is inner.process
    for config in (guided.config["generator"]["generator"], guided.generator.config["generator"], inner.config):
        assert config["solver"] == {"type": "unipc", "steps": 6, "order": 2}
    assert catalog.build(guided.config).solver.config == guided.solver.config
    assert not guided.sample(2, condition={"label": 1}, rng=rng()).equal(before)


def test_two_classifiers_pull_together() -> None:
    wanted = {"label": 1}
    twice = ClassifierGuided(ClassifierGuided(ddpm(), guide(), 2.0), guide(), 3.0).sample(
        4, condition=wanted, rng=rng()
    )
    torch.testing.assert_close(twice, ClassifierGuided(ddpm(), guide(), 5.0).sample(4, condition=wanted, rng=rng()))


def test_steps_are_told_to_who_watches_the_wrapper() -> None:
    guided, seen = ClassifierGuided(ddpm(Ancestral("4")), guide(), 1.0), []
    guided.watch = lambda done, total: seen.append((done, total))
    guided.sample(2, rng=rng())
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_a_gradient_through_a_frozen_classifier_in_inference_mode() -> None:
    guided = ClassifierGuided(ddpm(), guide(), 3.0)
    want = guided.sample(2, condition={"label": 1}, rng=rng())
    with torch.inference_mode():
        got: Tensor = guided.sample(2, condition={"label": 1}, rng=rng())
    assert got.equal(want)
