from __future__ import annotations

import copy
import json
import os
import shutil
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import load_file

from benchmarks.run_contents import contents
from genkit.core.catalog import CATALOG
from genkit.core.entry import Entry
from genkit.core.errors import CheckpointError, GenkitError, RecipeError, UnfinishedRun, WeightsError
from genkit.core.generator import Generator
from genkit.core.interruption import LOST, Stopped
from genkit.core.pretrained import Pretrained
from genkit.diffusion.classifier_guidance import ClassifierGuided
from genkit.gan.gan import GAN
from genkit.gan.networks.critic import Critic
from genkit.training import train
from genkit.training.recipe import Recipe
from genkit.training.report import write_report_of_stages
from genkit.training.run_folder import RunFolder
from genkit.training.staged import StagedRecipe, load_recipe, recipe_of
from genkit.training.stages import StagedFolder
from tests.cli.console import run
from tests.contracts.specs import DDPM, NOISY, seeded
from tests.training.tiny import ADAM, by_example, child, on_processes, points, wait_for_checkpoints

STEPS = 4
DIGITS = {"type": "digits", "split": "test", "size": 8}
SHARED = {
    "data": DIGITS,
    "train": {"steps": STEPS, "batch_size": 8, "trackers": []},
    "every": {"log": 1, "grid": 2, "checkpoint": 2},
}
CLASSIFIER = {
    "system": {"type": "noisy_classifier_training", "classifier": NOISY},
    "optimizers": {"classifier": ADAM},
    "every": {"grid": 0},
}
DIFFUSION = {
    "system": {"type": "ddpm_training", "generator": {**DDPM, "solver": {"type": "ancestral", "steps": "2"}}},
    "optimizers": {"denoiser": ADAM},
}
GUIDED: dict[str, Any] = {
    "name": "guided",
    **SHARED,
    "stages": {"classifier": CLASSIFIER, "ddpm": DIFFUSION},
    "product": {"type": "classifier_guided", "generator": {"stage": "ddpm"}, "classifier": {"stage": "classifier"}},
    "evaluate": {"metrics": ["fd"], "n": 16, "extractor": "mnist-classifier"},
}
"""The product uses both stages."""

VAE = by_example(STEPS).to_dict()
AUGMENT = {"type": "exemplar_augment", "vae": {"stage": "vae"}}
AUGMENTED: dict[str, Any] = {
    "name": "augmented",
    **SHARED,
    "stages": {
        "vae": {"system": VAE["system"], "optimizers": VAE["optimizers"]},
        "classifier": {
            "system": {
                "type": "classifier_training",
                "classifier": {"type": "classifier", "size": 8, "width": 4},
                "augment": AUGMENT,
            },
            "optimizers": {"classifier": ADAM},
        },
    },
}
"""The second stage learns from the product of the first, and makes the final one."""

TREES = {"guided": GUIDED, "augmented": AUGMENTED}


def staged(tree: dict[str, Any], **changes: Any) -> StagedRecipe:
    recipe = recipe_of({**copy.deepcopy(tree), **changes})
    assert isinstance(recipe, StagedRecipe)
    return recipe


def changed(tree: dict[str, Any], stage: str, **changes: Any) -> StagedRecipe:
    made = copy.deepcopy(tree)
    made["stages"][stage] |= changes
    return staged(made)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("finished")
    return {name: train(staged(tree), folder / name) for name, tree in TREES.items()}


def learner(system: Any) -> str:
    return next(iter(system.learners))


def resume(name: str, out: Path) -> None:
    train(staged(TREES[name]), out, resume=True)


def dying(name: str, out: Path, moment: Callable[[Any], bool]) -> None:
    """Trains or resumes, and dies after an iteration of which `moment(trainer)` holds, before its checkpoint."""
    from genkit.training.trainer import Trainer

    honest = Trainer.iterate

    def iterate(self: Trainer) -> Any:
        scalars = honest(self)
        if moment(self):
            wait_for_checkpoints()
            os.kill(os.getpid(), signal.SIGKILL)
        return scalars

    Trainer.iterate = iterate  # type: ignore[method-assign]
    resume(name, out)


def in_stage(learns: str, step: int, trainer: Any) -> bool:
    return learner(trainer.system) == learns and trainer.step == step


DEATHS = [
    ("guided", "classifier", 1),
    ("guided", "classifier", STEPS),
    ("guided", "denoiser", 1),
    ("guided", "denoiser", 3),
    ("augmented", "vae", 3),
    ("augmented", "classifier", 3),
]


@pytest.mark.parametrize(("name", "learns", "step"), DEATHS)
def test_a_run_killed_in_any_stage_goes_on_to_the_same_weights(
    name: str, learns: str, step: int, finished: dict[str, Path], tmp_path: Path
) -> None:
    out = tmp_path / "run"
    process = child(dying, name, out, partial(in_stage, learns, step))
    process.join(300)
    assert process.exitcode == -signal.SIGKILL
    done = {path.parent.name for path in out.glob("*/report.html") if RunFolder(path.parent).reported}
    assert done == (
        {"classifier"} if learns == "denoiser" else {"vae"} if name == "augmented" and learns != "vae" else set()
    )
    resume(name, out)
    assert contents(out) == contents(finished[name])


def die_at_the_end(name: str, out: Path) -> None:
    from genkit.training import stages

    stages.draw_samples = lambda *arguments, **named: os.kill(os.getpid(), signal.SIGKILL)  # type: ignore[assignment]
    resume(name, out)


def test_a_run_killed_at_its_end_goes_on(finished: dict[str, Path], tmp_path: Path) -> None:
    process = child(die_at_the_end, "guided", tmp_path / "run")
    process.join(300)
    assert process.exitcode == -signal.SIGKILL and not RunFolder(tmp_path / "run").reported
    resume("guided", tmp_path / "run")
    assert contents(tmp_path / "run") == contents(finished["guided"])
    assert (tmp_path / "run" / "scores.json").is_file() and (tmp_path / "run" / "samples.png").is_file()


def test_a_signal_ends_a_run_in_any_stage(
    finished: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from genkit.training import stages
    from genkit.training.run import Run

    with monkeypatch.context() as patched:
        honest = Run._iterate

        def iterate(self: Run, stop: Any) -> None:
            if learner(self.trainer.system) == "denoiser" and self.trainer.step == 2:
                signal.raise_signal(signal.SIGTERM)
            honest(self, stop)

        patched.setattr(Run, "_iterate", iterate)
        with pytest.raises(Stopped, match="after iteration 3; go on with --resume") as stopped:
            train(staged(GUIDED), tmp_path / "run")
        assert stopped.value.exit_code == 143
    with monkeypatch.context() as patched:
        patched.setattr(stages, "Scoring", lambda *arguments: signal.raise_signal(signal.SIGTERM))
        with pytest.raises(Stopped):
            resume("guided", tmp_path / "run")
    resume("guided", tmp_path / "run")
    assert contents(tmp_path / "run") == contents(finished["guided"])


@pytest.mark.slow
def test_two_processes_killed_in_the_second_stage_go_on(finished: dict[str, Path], tmp_path: Path) -> None:
    for name, learns in (("guided", "denoiser"), ("augmented", "classifier")):
        straight, killed = tmp_path / f"{name}-straight", tmp_path / f"{name}-killed"
        assert on_processes(2, resume, tmp_path, name, straight) == [0, 0]
        codes = on_processes(2, dying, tmp_path, name, killed, partial(in_stage, learns, 3))
        assert set(codes) <= {-signal.SIGKILL, LOST, 1} and -signal.SIGKILL in codes
        assert on_processes(2, resume, tmp_path, name, killed) == [0, 0]
        assert contents(killed) == contents(straight)


def test_what_is_left(finished: dict[str, Path]) -> None:
    guided: Any = Generator.from_pretrained(finished["guided"])
    assert isinstance(guided, ClassifierGuided)
    for part, stage in ((guided.generator, "ddpm"), (guided.classifier, "classifier")):
        kept = Pretrained.from_pretrained(finished["guided"] / stage)
        assert isinstance(kept, torch.nn.Module)
        assert all(v.equal(kept.state_dict()[k]) for k, v in part.state_dict().items())
    last = Pretrained.from_pretrained(finished["augmented"])
    assert type(last).__name__ == "Classifier" and not (finished["augmented"] / "weights").exists()


def test_the_frozen_part_is_the_product_of_the_stage_before(finished: dict[str, Path]) -> None:
    run = finished["augmented"]
    system: Any = Recipe.load(run / "classifier" / "recipe.yaml").build_system()
    kept = Pretrained.from_pretrained(run / "vae")
    assert isinstance(kept, torch.nn.Module)
    mine = {k: v for k, v in system.augment.vae.state_dict().items() if "means" not in k}
    assert mine and all(v.equal(kept.state_dict()[k]) for k, v in mine.items())
    assert yaml.safe_load((run / "classifier/recipe.yaml").read_text())["system"]["augment"] == AUGMENT


def test_a_run_may_be_moved(finished: dict[str, Path], tmp_path: Path) -> None:
    shutil.copytree(finished["augmented"], tmp_path / "moved")
    more = changed(AUGMENTED, "classifier", train={"steps": STEPS + 1})
    train(more, tmp_path / "moved", resume=True)
    assert sorted((tmp_path / "moved/classifier/checkpoints").iterdir())[-1].name == f"step-{STEPS + 1:08d}"


def test_one_report_shows_and_links_all(finished: dict[str, Path]) -> None:
    page = (finished["guided"] / "report.html").read_text()
    assert page.count('<h2 class="stage"') == 2 and "FD/" in page and page.count("<h2>Curves</h2>") == 2
    for stage in ("classifier", "ddpm"):
        assert f'href="{stage}/report.html"' in page and (finished["guided"] / stage / "report.html").is_file()


def test_a_finished_run_is_left_alone(finished: dict[str, Path]) -> None:
    before = {p: p.stat().st_mtime_ns for p in finished["augmented"].rglob("model.safetensors")}
    with pytest.raises(CheckpointError, match="holds a run already"):
        train(staged(AUGMENTED), finished["augmented"])
    resume("augmented", finished["augmented"])
    assert {p: p.stat().st_mtime_ns for p in finished["augmented"].rglob("model.safetensors")} == before


def test_a_stage_may_be_given_as_weights(finished: dict[str, Path], tmp_path: Path) -> None:
    tree = copy.deepcopy(GUIDED)
    tree["stages"]["classifier"] = {"weights": str(finished["guided"] / "classifier")}
    out = train(staged(tree), tmp_path / "run")
    assert not (out / "classifier").exists()
    assert (out / "weights/model.safetensors").read_bytes() == (
        finished["guided"] / "weights/model.safetensors"
    ).read_bytes()
    tree["stages"]["ddpm"] = tree["stages"]["classifier"]
    with pytest.raises(RecipeError, match="nothing to train"):
        staged(tree)


def test_a_stage_may_begin_from_weights(finished: dict[str, Path], tmp_path: Path) -> None:
    vae = finished["augmented"] / "vae"
    out = train(changed(AUGMENTED, "vae", start=str(vae)), tmp_path / "run")
    assert json.loads((out / "vae/start.json").read_text())["from"] == str(vae)
    began, behind = (load_file(run / "weights/model.safetensors") for run in (out / "vae", vae))
    assert any(not began[name].equal(behind[name]) for name in behind)


def test_a_changed_stage_is_refused_where_a_later_one_has_learned_of_it(
    finished: dict[str, Path], tmp_path: Path
) -> None:
    shutil.copytree(finished["augmented"], tmp_path / "run")
    more = changed(AUGMENTED, "vae", train={"steps": STEPS + 1})
    with pytest.raises(CheckpointError, match="classifier was trained on stage vae, which would change now"):
        train(more, tmp_path / "run", resume=True)
    with pytest.raises(CheckpointError, match="started with another recipe"):
        train(changed(AUGMENTED, "vae", train={"steps": STEPS, "seed": 5}), tmp_path / "run", resume=True)


def test_a_stage_that_was_trained_keeps_its_name(finished: dict[str, Path], tmp_path: Path) -> None:
    shutil.copytree(finished["guided"], tmp_path / "run")
    stages = {"clasifier" if name == "classifier" else name: stage for name, stage in GUIDED["stages"].items()}
    product = GUIDED["product"] | {"classifier": {"stage": "clasifier"}}
    with pytest.raises(CheckpointError, match="trained a stage classifier, which the recipe does not have; did you"):
        train(staged({**GUIDED, "stages": stages, "product": product}), tmp_path / "run", resume=True)
    assert not (tmp_path / "run/clasifier").exists()


def test_a_run_of_one_training_is_no_place_for_stages(finished: dict[str, Path], tmp_path: Path) -> None:
    shutil.copytree(finished["augmented"], tmp_path / "run")
    before = (tmp_path / "run/vae/recipe.yaml").read_bytes()
    with pytest.raises(CheckpointError, match="vae holds a run of one training, not of stages"):
        resume("augmented", tmp_path / "run/vae")
    with pytest.raises(CheckpointError, match="started with another recipe"):
        train(recipe_of(yaml.safe_load(before)), tmp_path / "run", resume=True)
    assert (tmp_path / "run/vae/recipe.yaml").read_bytes() == before
    (tmp_path / "run/recipe.yaml").write_text("{")
    with pytest.raises(CheckpointError, match=r"recipe\.yaml cannot be read"):
        resume("augmented", tmp_path / "run")


def test_a_run_under_way_is_not_told_as_finished(
    finished: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its report is there from the start of the first stage."""
    shutil.copytree(finished["augmented"], tmp_path / "run")
    assert run(capsys, "info", tmp_path / "run").out.count("state   finished") == 1
    write_report_of_stages(StagedFolder(tmp_path / "run"), staged(AUGMENTED), under_way=True)
    assert "state   not finished" in run(capsys, "info", tmp_path / "run").out


def test_a_product_may_change(finished: dict[str, Path], tmp_path: Path) -> None:
    shutil.copytree(finished["guided"], tmp_path / "run")
    train(staged(GUIDED, product={**GUIDED["product"], "scale": 7.0}), tmp_path / "run", resume=True)
    guided: Any = Generator.from_pretrained(tmp_path / "run")
    assert guided.scale == 7.0


def test_an_unfinished_run_gives_what_it_has(finished: dict[str, Path], tmp_path: Path) -> None:
    for name in TREES:
        shutil.copytree(finished[name], tmp_path / name)
    last = tmp_path / "augmented" / "classifier"
    shutil.rmtree(last / "weights")
    with pytest.warns(UnfinishedRun, match="iteration 4"):
        assert type(Pretrained.from_pretrained(tmp_path / "augmented")).__name__ == "Classifier"
    shutil.rmtree(last)
    with pytest.raises(WeightsError, match="augmented/classifier"):
        Pretrained.from_pretrained(tmp_path / "augmented")
    shutil.rmtree(tmp_path / "guided" / "weights")
    shutil.rmtree(tmp_path / "guided" / "ddpm" / "weights")
    with pytest.warns(UnfinishedRun, match="ddpm has not finished"):
        assert isinstance(Generator.from_pretrained(tmp_path / "guided"), ClassifierGuided)


def test_what_does_not_fit_is_told_before_the_first_stage(tmp_path: Path) -> None:
    other = {**NOISY, "process": {**NOISY["process"], "steps": 7}}
    system = {**CLASSIFIER["system"], "classifier": other}
    with pytest.raises(GenkitError, match="trained on another process"):
        train(changed(GUIDED, "classifier", system=system), tmp_path / "run")
    with pytest.raises(RecipeError, match=r"evaluate\.metrics: "):
        train(staged(GUIDED, evaluate={"metrics": ["accuracy"]}), tmp_path / "run")
    assert not (tmp_path / "run").exists()


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"stages": {}}, "stages: needs a mapping of names"),
    ({"stages": [1]}, "stages: needs a mapping of names"),
    ({"stages": {"a/b": CLASSIFIER}}, "'a/b' names a folder of the run"),
    ({"stages": {"weights": CLASSIFIER}}, "'weights' names a folder of the run"),
    ({"stages": {"a": 3}}, r"stages\.a: needs a mapping, got 3"),
    ({"stages": {"a": {}}}, r"stages\.a: missing key 'system'"),
    ({"stages": {"a": {**CLASSIFIER, "trian": 1}}}, r"^stages\.a\.trian: unknown key"),
    ({"stages": {"a": {**CLASSIFIER, "train": {"stps": 1}}}}, r"^stages\.a\.train\.stps: unknown key"),
    ({"stages": {"a": {**CLASSIFIER, "stages": {}}}}, r"^stages\.a\.stages: unknown key"),
    (
        {"stages": {"a": {**CLASSIFIER, "system": {"type": "ddpm_training", "genrator": 1}}}},
        r"^stages\.a\.system\.genr",
    ),
    ({"product": 3}, "product: needs a mapping"),
    ({"product": {"stage": "ddpm"}}, "product: needs a mapping with the key 'type', built of what stages leave"),
    ({"product": {"type": "classifier_guided"}}, "product: missing key 'generator'"),
    ({"product": {"type": "digits"}}, "product: 'digits' does not make a Pretrained"),
    ({"product": {**GUIDED["product"], "classifier": {"stage": "clasifier"}}}, "product: no stage 'clasifier' comes"),
    ({"product": {**GUIDED["product"], "classifier": {"stage": 3}}}, "product: no stage 3 comes"),
    (
        {"product": {**GUIDED["product"], "classifier": {"stage": "ddpm"}}},
        r"product\.classifier: needs a NoisyClassifier, got a",
    ),
    (
        {"product": {**GUIDED["product"], "classifier": {"stage": "classifier", "product": "critic"}}},
        "stage classifier has no product 'critic'; it has classifier",
    ),
    (
        {"product": {**GUIDED["product"], "classifier": {"stage": "classifier", "prodct": "critic"}}},
        "product: 'prodct' beside stage: unknown key; a stage takes nothing but a product",
    ),
    ({"optimizers": {}}, "optimizers: unknown key of a recipe with stages"),
    ({"name": "a/b"}, "must be a plain file name"),
]


@pytest.mark.parametrize(("changes", "message"), WRONG)
def test_wrong_recipes_are_one_line(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(GenkitError, match=message) as error:
        staged(GUIDED, **changes).check()
    assert "\n" not in str(error.value)


def test_a_stage_uses_earlier_ones_alone() -> None:
    stages = dict(reversed(AUGMENTED["stages"].items()))
    with pytest.raises(RecipeError, match=r"^stages\.classifier\.system: no stage 'vae' comes before this one"):
        staged(AUGMENTED, stages=stages).check()
    alone = {**SHARED, "name": "x", **AUGMENTED["stages"]["classifier"]}
    with pytest.raises(RecipeError, match="no stage 'vae' comes before this one; there is none"):
        Recipe.from_dict(alone).check()


def test_stages_inherit_and_overrides_reach_them(tmp_path: Path) -> None:
    path = tmp_path / "guided.yaml"
    path.write_text(yaml.safe_dump(GUIDED))
    recipe = load_recipe(path, ["stages.ddpm.train.steps=10", "train.seed=3", "product.scale=4"])
    assert isinstance(recipe, StagedRecipe) and recipe.product and recipe.product["scale"] == 4
    steps = {name: stage.train.steps for name, stage in recipe.trainings.items()}
    assert steps == {"classifier": STEPS, "ddpm": 10}
    assert all(stage.train.seed == 3 and stage.evaluate is None for stage in recipe.trainings.values())
    assert recipe.trainings["classifier"].every.grid == 0 and recipe.trainings["ddpm"].every.grid == 2
    assert recipe_of(yaml.safe_load(recipe.to_yaml())) == recipe
    with pytest.raises(RecipeError, match="has stages"):
        Recipe.load(path)
    with pytest.raises(RecipeError, match="--from begins one training"):
        train(path, tmp_path / "run", start="mnist-classifier")


def test_a_stage_has_a_base(tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_text("name: own\nstages: {a: {base: points/wgan_gp, train: {steps: 5}}}")
    recipe = load_recipe(path)
    assert isinstance(recipe, StagedRecipe)
    stage, base = recipe.trainings["a"], Recipe.load("points/wgan_gp")
    assert stage.system == base.system and stage.train.steps == 5 and stage.name == "own-a"
    path.write_text("name: own\ntrain: {seed: 3, steps: 6}\nstages: {a: {base: points/wgan_gp, train: {steps: 5}}}")
    between = load_recipe(path, ["train.batch_size=9", "stages.a.system.penalties.0.weight=7"])
    assert isinstance(between, StagedRecipe)
    way, weight = between.trainings["a"].train, between.trainings["a"].system["penalties"][0]["weight"]
    assert (way.seed, way.steps, way.batch_size, way.threads, weight) == (3, 5, 9, 1, 7)
    path.write_text("name: own\nstages: {a: {base: points/wgan_gp, system: {critc: 1}}}")
    with pytest.raises(RecipeError, match=r"own\.yaml: stages\.a\.system\.critc: unknown key") as error:
        load_recipe(path).check()
    assert str(error.value).count("stages.a") == 1


class Judged(GAN):
    """A generator and a critic, as rejection sampling would have them."""

    def __init__(self, generator: GAN, critic: Critic):
        super().__init__(generator.network)
        self.critic = critic


def test_a_stage_keeps_its_critic(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(CATALOG["generators"], "judged", Entry(f"{__name__}:Judged", "", ()))
    tree = points(3).to_dict()
    critic = {"stage": "gan", "product": "critic"}
    product = {"type": "judged", "generator": {"stage": "gan", "product": "generator"}, "critic": critic}
    recipe = staged({"name": "both", "stages": {"gan": {**tree, "description": ""}}, "product": product})
    run = train(recipe, tmp_path / "run")
    made: Any = Generator.from_pretrained(run)
    kept: Any = Critic.from_pretrained(run / "gan" / "weights" / "critic")
    from genkit.training.start import trained_system

    live = trained_system(run / "gan")[1].critic.state_dict()
    for state in (made.critic.state_dict(), kept.state_dict()):
        assert all(v.equal(live[k]) for k, v in state.items())


def test_a_frozen_stage_is_checked_by_its_configuration(tmp_path: Path) -> None:
    plain = seeded({"type": "classifier", "size": 8}).save_pretrained(tmp_path / "plain")
    with pytest.raises(GenkitError, match=r"product\.classifier: needs a NoisyClassifier, got a"):
        changed_stage = copy.deepcopy(GUIDED)
        changed_stage["stages"]["classifier"] = {"weights": str(plain)}
        staged(changed_stage).check()
    with pytest.raises(WeightsError, match=r"stages\.classifier: no weights at /nowhere"):
        changed_stage["stages"]["classifier"] = {"weights": "/nowhere"}
        staged(changed_stage).check()
