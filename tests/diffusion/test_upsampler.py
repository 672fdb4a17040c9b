"""Upsamplers and cascades: their conditions, and that each part gets them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from genkit.core import catalog
from genkit.core.errors import ConditionError, EvaluationError, GenkitError, RecipeError
from genkit.core.generator import Generator
from genkit.data.dataset import DataSet
from genkit.data.digits import digits
from genkit.diffusion.classifier_free_guidance import ClassifierFreeGuided
from genkit.diffusion.classifier_guidance import ClassifierGuided
from genkit.diffusion.ddpm import DDPM, DDPMTraining
from genkit.diffusion.solvers import DDIM, Ancestral
from genkit.diffusion.upsampler import Cascade, Upsampler
from genkit.evaluation import evaluate
from genkit.training import train
from genkit.training.optimizers import Adam
from genkit.training.recipe import Recipe
from genkit.training.stream import Stream
from genkit.training.trainer import Trainer
from tests.contracts.specs import DDPM as DDPM_SPEC
from tests.contracts.specs import LARGER, NOISY, UNET, UPSAMPLER, seeded

SMALL: dict[str, Any] = {**DDPM_SPEC, "network": {**UNET, "size": 4, "classes": 10, "variance": True}}
SMALL |= {"solver": {"type": "ancestral", "steps": "3"}}


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def awake(spec: dict[str, Any]) -> Any:
    """With no layer at the zero that training starts from."""
    made = seeded(spec)
    for parameter in made.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.1)
    return made


def test_small_images_are_means_over_areas_and_are_seen_bilinearly() -> None:
    model = awake(UPSAMPLER)
    x = torch.rand(3, 1, 8, 8, generator=rng()) * 2 - 1
    low = model.condition_of(x)["low_res"]
    torch.testing.assert_close(low, x.view(3, 1, 4, 2, 4, 2).mean((3, 5)))
    seen: list[Tensor] = []
    model.network.unet.conv_in.register_forward_pre_hook(lambda module, given: seen.append(given[0]))
    timestep, label = torch.tensor([0.0, 5.0, 9.0]), torch.tensor([1, 2, 3])
    model.output(x, timestep, label, low_res=low)
    want = F.interpolate(low, (8, 8), mode="bilinear", align_corners=False)
    torch.testing.assert_close(seen[0], torch.cat([x, want], 1))


def test_the_small_image_matters_and_is_needed() -> None:
    model = awake(UPSAMPLER)
    black, white = ({"low_res": torch.full((1, 4, 4), v), "label": 1} for v in (-1.0, 1.0))
    assert (
        model.sample(2, condition=black, rng=rng()) - model.sample(2, condition=white, rng=rng())
    ).abs().max() > 0.01
    with pytest.raises(ConditionError, match="'low_res' must be given: grey images of 4 x 4"):
        model.sample(2, rng=rng())
    with pytest.raises(ConditionError, match=r"got \[1, 1, 8, 8\]"):
        model.sample(2, condition={"low_res": torch.zeros(1, 8, 8)})


def test_over_data_it_enlarges_their_rows_with_their_labels() -> None:
    data = digits("test", 8)
    model = awake(UPSAMPLER)
    over = model.over(data)
    with pytest.raises(ConditionError, match="must be given"):
        model.sample(2)
    found = over.conditions.resolve(None, 40, torch_rows(40))
    index = [next(i for i, low in enumerate(lows(model, data)) if low.equal(row)) for row in found["low_res"]]
    assert data.labels is not None and found["label"].equal(data.labels[torch.tensor(index)])
    assert len(set(index)) > 30
    pairs, columns = over.pictured(rng())
    assert pairs.shape == (64, 1, 8, 8) and columns == 8
    assert not pairs[0].equal(pairs[1]) and over.shows


def lows(model: Upsampler, data: DataSet) -> Tensor:
    return model.condition_of(data.rows(torch.arange(len(data))))["low_res"]


def torch_rows(n: int) -> Any:
    from genkit.core.randomness import Rows

    return Rows(n, rng())


def test_training_asks_for_the_batch_made_small() -> None:
    system = catalog.build({"type": "ddpm_training", "generator": UPSAMPLER})
    data = digits("test", 8)
    system.check_data(data.sample_shape, data.conditions)
    stream = Stream(data, 16, seed=0, mirror=True)
    stream.begin(0)
    update = next(iter(system.iteration(stream, 0)))
    want = F.interpolate(update.on["x0"], (4, 4), mode="area")
    assert update.on["images"]["low_res"].equal(want) and update.on["label"] is not None
    with pytest.raises(RecipeError, match="takes 10 classes of 'label', but the data have 0"):
        system.check_data((1, 8, 8), DataSet("x", data.x).conditions)


def test_forty_steps_teach_it_to_look_at_the_small_image() -> None:
    """At the noisiest steps nothing else tells a black image from a white one."""
    torch.manual_seed(0)
    x = torch.tensor([0, 255], dtype=torch.uint8).view(2, 1, 1, 1).expand(2, 1, 8, 8).repeat(50, 1, 1, 1)
    network = {**UNET, "type": "super_resolution_unet", "low_size": 4, "attention": []}
    process = {"type": "process", "steps": 20, "prediction": "x0", "variance": "fixed_large"}
    system: DDPMTraining = catalog.build(
        {"type": "ddpm_training", "generator": {"type": "upsampler", "network": network, "process": process}}
    )
    trainer = Trainer(
        system, Stream(DataSet("plain", x), 32, seed=0), {"denoiser": Adam(lr=3e-3)}, steps=60, ema_decay=0
    )
    for _ in range(60):
        trainer.iterate()
    low = torch.tensor([-1.0, 1.0]).view(2, 1, 1, 1).expand(2, 1, 4, 4)
    made = system.generator.sample(2, condition={"low_res": low}, rng=rng()).mean((1, 2, 3))
    assert made[0] < -0.6 and made[1] > 0.6


def test_guidance_passes_the_small_image_on() -> None:
    model, low = awake(UPSAMPLER), torch.rand(2, 1, 4, 4, generator=rng()) * 2 - 1
    given = {"low_res": low, "label": [1, 2]}
    plain = model.sample(2, condition=given, rng=rng())
    assert ClassifierFreeGuided(model, 1.0).sample(2, condition=given, rng=rng()).equal(plain)
    torch.testing.assert_close(
        ClassifierFreeGuided(model, 1 + 1e-6).sample(2, condition=given, rng=rng()), plain, rtol=0, atol=1e-3
    )
    unlabelled = ClassifierFreeGuided(model, 0.0)
    assert list(unlabelled.conditions) == ["low_res"]
    unlabelled.sample(2, condition={"low_res": low}, rng=rng())
    classifier = awake(NOISY)
    assert ClassifierGuided(model, classifier, 0.0).sample(2, condition=given, rng=rng()).equal(plain)
    assert not ClassifierGuided(model, classifier, 30.0).sample(2, condition=given, rng=rng()).equal(plain)


def test_the_bound_of_an_image_is_given_its_own_small_one() -> None:
    model, x = awake(UPSAMPLER), digits("test", 8).rows(torch.arange(2))
    own = model.log_likelihood(x, condition={"label": 1}, rng=rng()).nats
    given = {"label": 1, **model.condition_of(x)}
    assert model.log_likelihood(x, condition=given, rng=rng()).nats.equal(own)
    other = {"label": 1, "low_res": torch.zeros(1, 4, 4)}
    assert not model.log_likelihood(x, condition=other, rng=rng()).nats.equal(own)


def cascade(**parts: Generator) -> Cascade:
    return Cascade(**{"base": awake(SMALL), "upsampler": awake(UPSAMPLER), **parts})  # type: ignore[arg-type]


def test_a_cascade_enlarges_what_its_base_makes() -> None:
    """Both stages draw from the same stream of a sample, the base first."""
    model = cascade()
    seen: list[dict[str, Tensor]] = []
    inner = model.upsampler._sample
    model.upsampler._sample = lambda condition, rows: (seen.append(dict(condition)), inner(condition, rows))[1]  # type: ignore[method-assign, func-returns-value, assignment]
    made = model.sample(3, condition={"label": [1, 2, 3]}, rng=rng(5))
    alone = model.base.sample(3, condition={"label": [1, 2, 3]}, rng=rng(5))
    assert seen[0]["low_res"].equal(alone) and seen[0]["label"].tolist() == [1, 2, 3]
    assert made.shape == (3, 1, 8, 8) and list(model.conditions) == ["label"]


def test_either_stage_may_be_guided_and_labels_go_where_they_are_known() -> None:
    plain = cascade().sample(2, condition={"label": 1}, rng=rng())
    guided = ClassifierFreeGuided(awake(UPSAMPLER), 4.0)
    assert not cascade(upsampler=guided).sample(2, condition={"label": 1}, rng=rng()).equal(plain)
    small = {**NOISY, "network": {**NOISY["network"], "size": 4}}
    base = ClassifierGuided(awake(SMALL), awake(small), 20.0)
    assert not cascade(base=base).sample(2, condition={"label": 1}, rng=rng()).equal(plain)
    unconditional = awake({**SMALL, "network": {**SMALL["network"], "classes": 0}})
    model = cascade(base=unconditional)
    assert model.conditions.classes == 10
    assert not model.sample(2, condition={"label": 1}, rng=rng()).equal(
        model.sample(2, condition={"label": 2}, rng=rng())
    )


def test_a_cascade_of_upsamplers_enlarges_what_it_is_given() -> None:
    model = Cascade(awake(UPSAMPLER), awake(LARGER))
    assert list(model.conditions) == ["label", "low_res"] and model.made == ("low_res",)
    x = torch.rand(2, 1, 16, 16, generator=rng()) * 2 - 1
    torch.testing.assert_close(model.condition_of(x)["low_res"], F.interpolate(x, (4, 4), mode="area"))
    with pytest.raises(ConditionError, match="must be given"):
        model.sample(1)
    three = Cascade(awake(SMALL), awake(UPSAMPLER))
    assert Cascade(three, awake(LARGER)).sample(1, rng=rng()).shape == (1, 1, 16, 16)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"upsampler": SMALL}, "upsampler: a DDPM takes no low_res; give an upsampler"),
        ({"base": UPSAMPLER}, r"the base makes \[1, 8, 8\], but the upsampler takes \[1, 4, 4\]"),
        (
            {"base": {**SMALL, "network": {**SMALL["network"], "classes": 3}}},
            "the base knows 3 classes, but the upsampler 10",
        ),
    ],
)
def test_stages_that_do_not_fit_are_refused(parts: dict[str, Any], message: str) -> None:
    with pytest.raises(GenkitError, match=message):
        cascade(**{name: seeded(spec) for name, spec in parts.items()})


def test_a_cascade_is_scored_like_any_generator() -> None:
    against = digits("test", 8)
    scores = evaluate(cascade(), against, ["fd"], n=20, extractor="mnist-classifier", use_cache=False)
    assert scores["fd"] > 0 and scores.a.name == "Cascade"
    model = awake(UPSAMPLER)
    guided = ClassifierFreeGuided(model, 3.0)
    one, two = (
        evaluate(g, against, ["fd"], n=20, extractor="mnist-classifier", use_cache=False) for g in (model, guided)
    )
    assert one["fd"] != two["fd"], "guided or not, small images are the reference's"
    with pytest.raises(EvaluationError, match="Upsampler needs low_res of real images; score it against a data set"):
        evaluate(model, torch.zeros(20, 1, 8, 8), ["fd"], n=20, extractor="mnist-classifier")


def test_every_step_of_both_stages_is_told() -> None:
    model, timestep = cascade(), list[float]()
    model.watch = lambda done, total: timestep.append(done / total)
    model.sample(1, rng=rng())
    assert timestep == [1 / 6, 2 / 6, 3 / 6, 5 / 8, 6 / 8, 7 / 8, 1.0]


def test_options_reach_the_stages() -> None:
    from genkit.cli.sampler_options import configured

    model = cascade(base=awake({**SMALL, "network": {**SMALL["network"], "unlabelled": True}}))
    model.class_names = tuple("abcdefghij")
    made = configured(model, {"solver": "ddim", "steps": "2", "scale": 3.0})
    assert isinstance(made, Cascade) and made.class_names == model.class_names
    assert isinstance(made.base, ClassifierFreeGuided) and made.base.scale == 3.0
    for stage in (made.base, made.upsampler):
        assert isinstance(stage.solver, DDIM) and stage.solver.steps == "2"  # type: ignore[union-attr]
    assert isinstance(cascade().base.solver, Ancestral) and isinstance(model.base, DDPM)  # type: ignore[union-attr]


def test_its_run_is_pictured_scored_and_captioned(tmp_path: Path) -> None:
    tree = {
        "name": "tiny",
        "data": {"type": "digits", "split": "test", "size": 8},
        "system": {"type": "ddpm_training", "generator": UPSAMPLER},
        "optimizers": {"denoiser": {"type": "adam", "lr": 1e-3}},
        "train": {"steps": 2, "batch_size": 8, "trackers": []},
        "every": {"log": 1, "grid": 1, "checkpoint": 0},
        "evaluate": {"metrics": ["fd"], "n": 20, "extractor": "mnist-classifier"},
    }
    folder = train(Recipe.from_dict(tree), tmp_path / "run")
    assert len(list((folder / "grids").glob("*.png"))) == 2
    assert json.loads((folder / "scores.json").read_text())["values"]["fd"] > 0
    assert Upsampler.shows in (folder / "report.html").read_text(encoding="utf-8")
