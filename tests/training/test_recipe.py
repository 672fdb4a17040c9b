from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from genkit.core.errors import GenkitError, RecipeError
from genkit.training.recipe import Recipe, differences
from genkit.training.recipe_file import find_recipe, shipped_recipes
from genkit.training.staged import load_recipe
from tests.cli.hostile import LAUGHS

TREE: dict[str, Any] = {
    "name": "tiny",
    "data": {"type": "gaussians8", "n": 20},
    "system": {
        "type": "gan_training",
        "generator": {"type": "gan", "network": {"type": "mlp_generator", "latent_dim": 3, "width": 4}},
        "critic": {"type": "mlp_critic", "width": 4},
        "penalties": [{"type": "r1", "weight": 1.0}],
    },
    "optimizers": {"critic": {"type": "adam", "lr": "1e-3"}, "generator": {"type": "adam", "lr": 1e-3}},
    "train": {"steps": 10},
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.yaml"
    path.write_text(yaml.safe_dump(TREE))
    return path


def test_a_file_is_read_checked_and_resolved(file: Path) -> None:
    recipe = Recipe.load(file)
    assert recipe.train.steps == 10 and recipe.train.batch_size == 64 and recipe.every.keep == 2
    again = Recipe.from_dict(yaml.safe_load(recipe.to_yaml()))
    assert again == recipe and not list(differences(recipe.to_dict(), again.to_dict()))
    assert recipe.build_optimizers()["critic"].lr == 1e-3


def test_overrides_reach_any_depth(file: Path) -> None:
    changes = ["train.steps=3", "system.penalties.0.weight=2.5", "optimizers.critic.lr=1e-4", "every.log=7"]
    recipe = Recipe.load(file, [*changes, "train.trackers=[]", "system.critic={type: mlp_critic, width: 9}"])
    assert recipe.train.steps == 3 and recipe.system["penalties"][0]["weight"] == 2.5 and recipe.every.log == 7
    assert recipe.build_optimizers()["critic"].lr == 1e-4 and recipe.train.trackers == []
    assert recipe.build_system().critic.feature_dim == 9


def test_overrides_are_a_list(file: Path) -> None:
    with pytest.raises(RecipeError, match=r"^overrides are a list, as \['train\.steps=3'\], got a text$"):
        Recipe.load(file, "train.steps=3")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("train.steps", "write key.path=value"),
        ("=3", "write key.path=value"),
        ("train.steps=[", "not a YAML value"),
        ("train.steps=0", r"train\.steps: .*greater than or equal to 1, got 0"),
        ("train.step=5", r"train\.step: unknown key; did you mean 'steps'"),
        ("train.steps.x=5", "has no keys|there are no keys"),
        ("system.penalties.1.weight=2", "positions 0 to 0, got '1'"),
        ("train=5", "train: needs a mapping, got 5"),
        ("name=a/b", "must be a plain file name"),
        ("name=..", "must be a plain file name"),
        ("trains.steps=5", "trains: unknown key; did you mean 'train'"),
        ("train.ema=1", r"train\.ema"),
        ("train.precision=fp8", r"train\.precision: .*got 'fp8'"),
        ("train.seed=-1", r"train\.seed"),
        ("train.steps=!!int ''", "'' is no int"),
        ("train.steps=" + "1" * 6000, "6,000 digits"),
        ("train.steps=" + "[" * 3000, "nested more than 64 deep"),
        ("system.penalties." + "1" * 5000 + ".weight=2", "positions 0 to 0"),
        ("description=!!timestamp foo", "is not read"),
        ('description="\\ud800"', r"holds U\+D800"),
        ('data.path="a\\0b"', r"holds U\+0000"),
        ('name="a\\nb"', "must be a plain file name"),
        ("name=" + "x" * 300, "must be a plain file name"),
        ("x" * 10**5, "write key.path=value"),
    ],
)
def test_wrong_overrides_are_one_line(override: str, message: str, file: Path) -> None:
    with pytest.raises(RecipeError, match=message) as error:
        Recipe.load(file, [override])
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "holds no mapping"),
        ("- 1", "holds no mapping"),
        ("a: [", "not valid YAML"),
        ("name: x\ndata: {}\nname: y", "line 3: .*key 'name' is given twice"),
        ("name: x\ntrain:\n  steps: 1\ntrain:\n  steps: 2", "line 4: .*key 'train' is given twice"),
        ("name: x\ntrain:\n  steps: 2001-99-99\ndata: {}\nsystem: {}\noptimizers: {}", r"train\.steps: .*2001-99-99"),
        ('name: x\ndescription: "\\ud800"', r"description: holds U\+D800"),
        (LAUGHS, "more than 100,000 values"),
        ("? [1]\n: 2", "a key must be a plain name"),
        ("x: !!python/object/apply:os.system ['touch executed']", "not valid YAML"),
        ("name: x", "missing key 'data'"),
    ],
)
def test_wrong_files_are_one_line(text: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad.yaml").write_text(text)
    with pytest.raises(GenkitError, match=message) as error:
        Recipe.load(tmp_path / "bad.yaml")
    assert "\n" not in str(error.value) and not (tmp_path / "executed").exists()


def test_a_tree_from_code_is_held_to_what_a_file_could_hold() -> None:
    for change in ({"description": "\ud800"}, {"data": {"type": "folder", "path": "a\0b", "size": 8}}):
        with pytest.raises(RecipeError, match="which is no text"):
            Recipe.from_dict({**TREE, **change})


def test_an_override_changes_one_use_of_an_alias(tmp_path: Path) -> None:
    path = tmp_path / "shared.yaml"
    text = yaml.safe_dump({**TREE, "optimizers": {}}).replace("optimizers: {}", "")
    path.write_text(text + "optimizers: {critic: &a {type: adam, lr: 1e-3}, generator: *a}\n")
    recipe = Recipe.load(path, ["optimizers.critic.lr=5"])
    assert recipe.optimizers["critic"]["lr"] == 5 and recipe.optimizers["generator"]["lr"] == "1e-3"


def test_a_missing_file_names_the_nearest_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RecipeError, match="no recipe 'digits/exemplar_vea'; did you mean 'digits/exemplar_vae', or a"):
        find_recipe("digits/exemplar_vea")
    with pytest.raises(RecipeError, match=r"'mine.yaml' does not exist; 'genkit list recipes' names those"):
        find_recipe("mine.yaml")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.yaml").touch()
    with pytest.raises(RecipeError, match=r"'mien.yml' does not exist; did you mean 'mine.yaml'\?"):
        find_recipe("mien.yml")
    for name in shipped_recipes():
        assert load_recipe(name).name.startswith(name.partition("/")[0].replace("_", "-"))


def test_first_weights_come_from_the_seed_alone_and_leave_the_global_state() -> None:
    recipe = Recipe.from_dict(TREE)
    before = torch.get_rng_state()
    first = recipe.build_system().state_dict()
    assert torch.get_rng_state().equal(before)
    torch.rand(5)
    assert all(v.equal(first[k]) for k, v in recipe.build_system().state_dict().items())
    other = Recipe.from_dict({**TREE, "train": {"steps": 10, "seed": 1}}).build_system().state_dict()
    assert not other["critic.head.weight"].equal(first["critic.head.weight"])


def test_differences_name_every_leaf() -> None:
    old, new = {"a": {"b": 1, "c": 2}, "d": [1]}, {"a": {"b": 1, "c": 3}, "e": 4}
    assert list(differences(old, new)) == ["a.c: 2 -> 3", "d: [1] -> None", "e: None -> 4"]


@pytest.mark.parametrize(
    ("best", "kept"), [("fid", "fd"), ("KID", "kd"), ("Recall", "recall"), ("accuracy", "accuracy")]
)
def test_the_best_may_be_called_by_its_published_name(best: str, kept: str) -> None:
    from genkit.training.recipe import Evaluate

    assert Evaluate(metrics=["FID", "kd", "pr"], best=best).best == kept
