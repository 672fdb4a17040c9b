from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate import Accelerator
from torch import nn

from genkit.core.errors import RecipeError
from genkit.core.generator import Generator
from genkit.core.pretrained import Pretrained
from genkit.training.preparation import check_evaluation, prepare
from genkit.training.recipe import Evaluate, Recipe
from genkit.training.trainer import Trainer
from tests.contracts.specs import DCGAN_C, DCGAN_G, DDPM, DIGITS, NETWORKS, NOISY, seeded
from tests.training.tiny import points

DIFFUSION = {"type": "ddpm_training", "generator": {**DDPM, "solver": {"type": "ancestral", "steps": "2"}}}
CLASSIFIER = {"type": "classifier_training", "classifier": NETWORKS["classifier"][0]}


def recipe(system: dict[str, Any], learner: str, **train: Any) -> Recipe:
    return Recipe.from_dict(
        {
            "name": "tiny",
            "data": DIGITS,
            "system": copy.deepcopy(system),
            "optimizers": {learner: {"type": "adam", "lr": 1e-3}},
            "train": {"steps": 4, "batch_size": 8, "trackers": [], **train},
        }
    )


def prepared(system: dict[str, Any], learner: str, **train: Any) -> Trainer:
    return prepare(recipe(system, learner, **train), Accelerator(cpu=True))[1]


def walk(trainer: Trainer, steps: int = 4) -> list[dict[str, float]]:
    return [{k: v.item() for k, v in trainer.iterate().items()} for _ in range(steps)]


def same_walk(a: Trainer, b: Trainer) -> None:
    for mine, other in zip(walk(a), walk(b), strict=True):
        assert mine == pytest.approx(other, rel=1e-5, abs=1e-5)


def test_channels_last_changes_nothing_but_the_layout(tmp_path: Path) -> None:
    plain, made = prepared(DIFFUSION, "denoiser"), prepared(DIFFUSION, "denoiser", channels_last=True)
    kernels = [p for p in made.system.generator.network.parameters() if p.dim() == 4 and p.shape[1] > 1 < p.shape[2]]
    assert kernels and all(p.is_contiguous(memory_format=torch.channels_last) for p in kernels)
    same_walk(plain, made)
    loaded = Generator.from_pretrained(made.ema.module.save_pretrained(tmp_path))
    assert all(p.is_contiguous() for p in loaded.parameters())
    rng = [torch.Generator().manual_seed(0) for _ in range(2)]
    torch.testing.assert_close(loaded.sample(2, rng=rng[0]), plain.ema.module.sample(2, rng=rng[1]), rtol=0, atol=1e-3)


def test_learners_are_compiled_and_leave_plain_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the cheapest compiler: which code comes out is not our affair."""
    compiled, compile = list[nn.Module](), nn.Module.compile
    monkeypatch.setattr(nn.Module, "compile", lambda m: (compiled.append(m), compile(m, backend="eager")))
    plain, made = prepared(CLASSIFIER, "classifier"), prepared(CLASSIFIER, "classifier", compile=True)
    assert compiled == [made.system.classifier] and made.ema.module._compiled_call_impl is None
    same_walk(plain, made)
    assert list(made.system.state_dict()) == list(plain.system.state_dict())
    loaded = Pretrained.from_pretrained(made.ema.module.save_pretrained(tmp_path))
    x = torch.randn(2, 1, 8, 8)
    torch.testing.assert_close(loaded(x), plain.ema.module(x), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("penalty", ["gradient_penalty", "r1"])
def test_what_differentiates_twice_is_not_compiled(penalty: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Recipe, "build_data", lambda _: pytest.fail("data were decoded first"))
    game = {"type": "gan_training", "generator": {"type": "gan", "network": DCGAN_G}, "critic": DCGAN_C}
    tree = recipe({**game, "penalties": [{"type": penalty}]}, "critic", compile=True).to_dict()
    tree["optimizers"]["generator"] = tree["optimizers"]["critic"]
    with pytest.raises(RecipeError, match=rf"^train\.compile: {penalty} differentiates twice, which torch\.compile"):
        prepare(Recipe.from_dict(tree), Accelerator(cpu=True))


@pytest.mark.parametrize("spec", [NOISY, NETWORKS["classifier"][0]], ids=["noisy_classifier", "classifier"])
def test_classifiers_are_scored_by_accuracy_alone(spec: dict[str, Any]) -> None:
    product = seeded(spec)
    check_evaluation(Evaluate(metrics=["accuracy"], best="accuracy"), product)
    for metrics, best in ((["fd"], "fd"), (["accuracy"], "fd"), (["accuracy", "fd"], "accuracy"), ([], "accuracy")):
        with pytest.raises(RecipeError, match=r"scored by metrics: \[accuracy\] and best: accuracy") as refusal:
            check_evaluation(Evaluate(metrics=metrics, best=best), product)
        assert "\n" not in str(refusal.value)


def test_generators_are_not() -> None:
    product = seeded(DDPM)
    check_evaluation(Evaluate(metrics=["fd"], best="fd"), product)
    with pytest.raises(RecipeError, match=r"evaluate\.metrics: .*accuracy"):
        check_evaluation(Evaluate(metrics=["accuracy"], best="accuracy"), product)
    with pytest.raises(RecipeError, match=r"evaluate\.best: 'kd' is not scored"):
        check_evaluation(Evaluate(metrics=["fd"], best="kd"), product)


def test_modes_are_counted_where_centres_are_known() -> None:
    tree = points(2, clipped=False).to_dict()
    wanted = {"metrics": ["modes"], "best": "good_samples"}
    prepare(Recipe.from_dict({**tree, "evaluate": wanted}), Accelerator(cpu=True))
    roll = {"type": "swiss_roll", "n": 10}
    for bad in ({**tree, "evaluate": {**wanted, "against": roll}}, {**tree, "data": roll, "evaluate": wanted}):
        with pytest.raises(RecipeError, match=r"evaluate\.metrics: metric modes: .*swiss_roll has none"):
            prepare(Recipe.from_dict(bad), Accelerator(cpu=True))


def test_a_bad_evaluation_is_refused_before_training() -> None:
    tree = recipe({"type": "noisy_classifier_training", "classifier": NOISY}, "classifier").to_dict()
    with pytest.raises(RecipeError, match="a classifier is scored by"):
        prepare(Recipe.from_dict({**tree, "evaluate": {"metrics": ["fd"]}}), Accelerator(cpu=True))
    prepare(
        Recipe.from_dict({**tree, "evaluate": {"metrics": ["accuracy"], "best": "accuracy"}}), Accelerator(cpu=True)
    )


class Undecoded:
    """In place of the data: a refusal must come before they are decoded."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch):
        from genkit.data import digits

        monkeypatch.setattr(digits, "_embedded", lambda: pytest.fail("the data were decoded"))


EARLY: list[tuple[dict[str, Any], str]] = [
    ({"data": {**DIGITS, "sise": 8}}, r"data\.sise: unknown key"),
    ({"data": {"type": "shifted", "data": DIGITS, "noise": 3}}, r"data\.noise: .*less than or equal to 1"),
    ({"data": {**DIGITS, "size": 16}}, r"data: samples are \[1, 16, 16\], but the Classifier is of \[1, 8, 8\]"),
    ({"data": {"type": "part", "data": {**DIGITS, "channels": 3}, "stop": 9}}, r"data: samples are \[3, 8, 8\]"),
    ({"system": {**CLASSIFIER, "shft": 1}}, r"system\.shft: unknown key; did you mean 'shift'"),
    ({"optimizers": {"classifier": {"type": "adam", "rate": 1}}}, r"optimizers\.classifier\.rate: unknown key"),
    ({"optimizers": {"critic": {"type": "adam", "lr": 1}}}, "optimizers: the classifier has none"),
    ({"train": {"steps": 4, "batch_size": 8, "accumulate": 3}}, r"train\.accumulate: 8 rows .* into 3"),
    (
        {
            "system": {**CLASSIFIER, "classifier": {**CLASSIFIER["classifier"], "norm": "batch"}},
            "train": {"steps": 4, "batch_size": 8, "accumulate": 2},
        },
        r"train\.accumulate: a batch norm couples the samples of a batch, so it cannot be split into 2",
    ),
    ({"evaluate": {"metrics": ["fd"], "best": "fd"}}, "a classifier is scored by"),
    ({"evaluate": {"against": {"type": "digitz"}}}, r"evaluate\.against\.type: unknown type"),
]


@pytest.mark.parametrize(("changes", "message"), EARLY)
def test_what_the_recipe_tells_is_refused_before_the_data_are_decoded(
    monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], message: str
) -> None:
    Undecoded(monkeypatch)
    tree = {**recipe(CLASSIFIER, "classifier").to_dict(), **changes}
    with pytest.raises(RecipeError, match=message):
        prepare(Recipe.from_dict(tree), Accelerator(cpu=True))


@pytest.mark.parametrize(
    ("evaluate", "message"),
    [
        ({"metrics": ["fd", "kds"], "n": 999}, r"evaluate\.metrics: .*kds.*got 999 samples, at least 1000"),
        ({"metrics": ["fd", "dc"], "n": 6}, "dc.*got 6 samples, at least 7"),
        ({"metrics": ["fd", "is"], "extractor": "efficientnet-lite0"}, "is: the extractor gives features alone"),
        ({"extractor": ""}, r"evaluate\.extractor: no extractor ''"),
        ({"extractor": "setup.cfg"}, r"evaluate\.extractor: setup\.cfg is a file"),
        ({"extractor": "docs"}, r"evaluate\.extractor: docs has no config\.json"),
        ({"n": 10**12}, "features of 1,000,000,000,000 samples find no room in memory"),
    ],
)
def test_scores_that_cannot_be_are_refused_before_the_data_are_decoded(
    monkeypatch: pytest.MonkeyPatch, evaluate: dict[str, Any], message: str
) -> None:
    Undecoded(monkeypatch)
    tree = recipe(DIFFUSION, "denoiser").to_dict()
    with pytest.raises(RecipeError, match=message):
        prepare(Recipe.from_dict({**tree, "evaluate": evaluate}), Accelerator(cpu=True))


def test_the_reference_is_looked_at_before_training() -> None:
    few = {"type": "part", "data": DIGITS, "stop": 6}
    tree = recipe(DIFFUSION, "denoiser").to_dict()
    scored = {"metrics": ["fd", "dc"], "against": few}
    with pytest.raises(RecipeError, match=r"evaluate\.metrics: metric dc: .*rows 0 to 5: got 6 samples"):
        prepare(Recipe.from_dict({**tree, "evaluate": scored}), Accelerator(cpu=True))
    tree = recipe(CLASSIFIER, "classifier").to_dict()
    for against, message in (({"type": "swiss_roll", "n": 9}, "no labels"), ({**DIGITS, "size": 9}, r"\[1, 9, 9\]")):
        scored = {"metrics": ["accuracy"], "best": "accuracy", "against": against}
        with pytest.raises(RecipeError, match=rf"evaluate\.against: .*{message}"):
            prepare(Recipe.from_dict({**tree, "evaluate": scored}), Accelerator(cpu=True))


def test_weights_do_not_depend_on_the_data_being_built_before_or_after() -> None:
    built = recipe(DIFFUSION, "denoiser").build_system()
    torch.manual_seed(3)
    for name, value in prepared(DIFFUSION, "denoiser").system.state_dict().items():
        assert value.equal(built.state_dict()[name]), name


@pytest.mark.parametrize(
    ("evaluate", "message"),
    [
        ({"extractor": "inception"}, "evaluate: .*inception"),
        ({"extractor": "fashion-mnist-ddpm"}, "no extractor 'fashion-mnist-ddpm'"),
        (
            {"metrics": ["is"], "best": "is", "extractor": None},
            "evaluate: metric is: the extractor gives features alone",
        ),
        ({"against": {"type": "gaussians25"}}, "evaluate: DDPM holds images, but extractor points takes points"),
    ],
)
def test_scores_that_cannot_be_are_refused_before_training(
    monkeypatch: pytest.MonkeyPatch, evaluate: dict[str, Any], message: str
) -> None:
    monkeypatch.setenv("TORCH_HOME", "/nowhere")
    monkeypatch.setattr("urllib.request.urlopen", offline)
    tree = recipe(DIFFUSION, "denoiser").to_dict()
    with pytest.raises(RecipeError, match=message):
        prepare(Recipe.from_dict({**tree, "evaluate": {"n": 60, **evaluate}}), Accelerator(cpu=True))


def offline(*_: Any, **__: Any) -> None:
    raise OSError("no network")


def test_images_that_mirroring_makes_others_are_not_mirrored() -> None:
    system = {
        "type": "gan_training",
        "generator": {"type": "gan", "network": {**DCGAN_G, "size": 8, "channels": 3}},
        "critic": {**DCGAN_C, "size": 8, "channels": 3},
    }
    asked = recipe(system, "critic", mirror=True).to_dict()
    asked["optimizers"] = dict.fromkeys(("critic", "generator"), asked["optimizers"]["critic"])
    data = {"type": "shapes", "n": 20, "size": 8}
    with pytest.raises(RecipeError, match=r"train\.mirror: a mirrored image of shapes/train has another x, rotation"):
        prepare(Recipe.from_dict({**asked, "data": data}), Accelerator(cpu=True))
    prepare(Recipe.from_dict({**asked, "data": {**data, "attributes": False}}), Accelerator(cpu=True))
