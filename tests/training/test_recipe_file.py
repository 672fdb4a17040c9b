from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from genkit.core.errors import RecipeError
from genkit.training.recipe import Recipe
from genkit.training.recipe_file import merged, read_recipe
from genkit.training.staged import load_recipe
from tests.training.test_recipe import TREE


def write(folder: Path, name: str, tree: Any) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(tree if isinstance(tree, str) else yaml.safe_dump(tree))
    return path


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return write(tmp_path, "base.yaml", TREE)


def test_what_differs_is_merged_key_by_key() -> None:
    old = {"a": {"type": "x", "b": 1, "c": [1, 2]}, "d": {"type": "x", "e": 1}, "f": 3, "g": {"h": {"i": 1, "j": 2}}}
    own = {"a": {"b": 2, "c": [3]}, "d": {"type": "y", "k": 4}, "f": None, "g": {"h": {"j": None, "l": 5}}, "m": None}
    assert merged(old, own) == {
        "a": {"type": "x", "b": 2, "c": [3]},
        "d": {"type": "y", "k": 4},
        "g": {"h": {"i": 1, "l": 5}},
    }
    assert merged(old, {"a": {"type": "x", "b": 3}})["a"] == {"type": "x", "b": 3, "c": [1, 2]}, "the same type is kept"
    assert merged(old, {"a": {"weights": "w"}})["a"] == {"weights": "w"}
    assert merged({"a": {"weights": "w"}}, {"a": {"type": "x"}})["a"] == {"type": "x"}


def test_a_base_is_found_beside_the_file_and_by_name(base: Path, tmp_path: Path) -> None:
    own = {"name": "mine", "train": {"seed": 3}, "optimizers": {"critic": {"lr": 5e-3}}, "system": {"critic_steps": 2}}
    want = Recipe.from_dict(merged(TREE, own))
    for name in ("base.yaml", "base", "../" + tmp_path.name + "/base.yaml", str(base)):
        assert Recipe.load(write(tmp_path, "own.yaml", {"base": name, **own})) == want
    nested = write(tmp_path, "deep/own.yaml", {"base": "../own.yaml", "train": {"seed": 4}})
    assert Recipe.load(nested, ["train.steps=7"]).to_dict() == {
        **want.to_dict(),
        "train": {**want.to_dict()["train"], "seed": 4, "steps": 7},
    }
    shipped = Recipe.load(write(tmp_path, "named.yaml", {"base": "points/wgan_gp", "name": "x"}))
    assert shipped.system == Recipe.load("points/wgan_gp").system and shipped.name == "x"


def test_the_whole_is_what_a_run_keeps(base: Path, tmp_path: Path) -> None:
    recipe = Recipe.load(write(tmp_path, "own.yaml", {"base": "base", "name": "mine"}))
    kept = yaml.safe_load(recipe.to_yaml())
    assert "base" not in kept and kept["system"] == TREE["system"] and Recipe.from_dict(kept) == recipe


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"a": {"base": "a"}}, r"a\.yaml: base: 'a' is made of this very recipe"),
        ({"a": {"base": "b"}, "b": {"base": "c"}, "c": {"base": "a.yaml"}}, r"c\.yaml: base: 'a\.yaml' is made of"),
        ({"a": {"base": "nowhere/x"}}, r"a\.yaml: base: no recipe 'nowhere/x'; give a path from"),
        ({"a": {"base": 3}}, r"a\.yaml: base: needs the name of a recipe, got 3"),
        ({"a": {"base": ""}}, r"a\.yaml: base: needs the name"),
        ({"a": {"base": "b"}, "b": "- 1"}, r"b\.yaml holds no mapping"),
        ({"a": {"base": "b"}, "b": "x: ["}, r"b\.yaml: line 1: not valid YAML"),
        ({"a": {"base": "base", "trian": {}}}, r"^\S*a\.yaml: trian: unknown key; did you mean 'train'"),
        ({"a": {"base": "base", "train": {"seeed": 1}}}, r"^\S*a\.yaml: train\.seeed: unknown key"),
        ({"a": {"base": "b"}, "b": {"base": "base", "system": {"crtic": 1}}}, r"^\S*b\.yaml: system\.crtic: unknown"),
        ({"a": {"base": "base", "system": {"penalties": [{"type": "r1", "wight": 1}]}}}, r"a\.yaml: .*penalties\[0\]"),
        ({"a": {"base": "base", "system": {"critic": None}}}, "system: missing key 'critic'"),
    ],
)
def test_wrong_files_are_one_line_that_names_the_file(
    files: dict[str, Any], message: str, base: Path, tmp_path: Path
) -> None:
    for name, tree in files.items():
        write(tmp_path, f"{name}.yaml", tree)
    with pytest.raises(RecipeError, match=message) as error:
        Recipe.load(tmp_path / "a.yaml").check()
    assert "\n" not in str(error.value)


def test_a_wrong_override_is_no_fault_of_the_base(base: Path, tmp_path: Path) -> None:
    own = write(tmp_path, "own.yaml", {"base": "base", "name": "mine"})
    with pytest.raises(RecipeError, match=r"^train\.steps: .*got 'x'"):
        Recipe.load(own, ["train.steps=x"])
    staged = write(tmp_path, "staged.yaml", {"name": "s", "stages": {"a": {"base": "base"}, "b": {"base": "base"}}})
    for override in ("stages.b.train.steps=x", "train.steps=x"):
        with pytest.raises(RecipeError, match=r"^stages\.[ab]\.train\.steps: .*got 'x'"):
            load_recipe(staged, [override])
    write(tmp_path, "base.yaml", {**TREE, "train": {"steps": "y"}})
    with pytest.raises(RecipeError, match=r"base\.yaml: stages\.a\.train\.steps: .*got 'y'"):
        load_recipe(staged, ["stages.b.train.steps=x"])


def test_a_type_that_was_changed_alone_is_no_fault_of_the_base_either(tmp_path: Path) -> None:
    optimizer = {"type": "adam", "lr": 1e-3, "betas": [0.5, 0.9]}
    write(tmp_path, "base.yaml", {**TREE, "optimizers": dict.fromkeys(("critic", "generator"), optimizer)})
    own = write(tmp_path, "own.yaml", {"base": "base", "name": "mine"})
    with pytest.raises(
        RecipeError, match=r"critic\.betas: unknown key.* \(its type alone was changed: give all of it, as optim"
    ):
        Recipe.load(own, ["optimizers.critic.type=sgd"]).check()


def test_null_removes_an_optimizer(base: Path) -> None:
    assert set(Recipe.load(base).optimizers) - set(Recipe.load(base, ["optimizers.critic=null"]).optimizers) == {
        "critic"
    }


def test_a_link_does_not_hide_a_circle(tmp_path: Path) -> None:
    write(tmp_path, "a.yaml", {"base": "b"})
    (tmp_path / "b.yaml").symlink_to(tmp_path / "a.yaml")
    with pytest.raises(RecipeError, match="is made of this very recipe"):
        read_recipe(tmp_path / "a.yaml")


def test_weights_are_found_from_the_file_that_names_them(tmp_path: Path) -> None:
    (tmp_path / "deep" / "vae").mkdir(parents=True)
    augment = {"type": "exemplar_augment", "vae": {"weights": "vae"}}
    write(tmp_path, "deep/base.yaml", {"base": "mnist/mlp_classifier", "system": {"augment": augment}})
    recipe = Recipe.load(write(tmp_path, "own.yaml", {"base": "deep/base.yaml", "name": "x"}))
    assert recipe.system["augment"]["vae"] == {"weights": str(tmp_path / "deep" / "vae")}


def test_an_override_names_weights_from_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here" / "mine").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here")
    recipe = Recipe.load("mnist/mlp_classifier_exemplar_augment", ["system.augment.vae.weights=mine"])
    assert recipe.system["augment"]["vae"] == {"weights": str(tmp_path / "here" / "mine")}


def test_what_older_versions_wrote_is_read() -> None:
    tree = Recipe.load("mnist/mlp_classifier_exemplar_augment").to_dict()
    tree["system"]["augment"] = {"type": "exemplar_augment", "weights": "mnist-exemplar-vae", "share": 0.5}
    augment = Recipe.from_dict(tree).system["augment"]
    assert augment == {"type": "exemplar_augment", "vae": {"weights": "mnist-exemplar-vae"}, "share": 0.5}
    tree["data"] = {"type": "folder", "path": "pics", "size": 28, "on_bad": "skip"}
    assert Recipe.from_dict(tree).data == {"type": "folder", "path": "pics", "size": 28, "skip_bad": True}
    tree["data"]["skip_bad"] = False
    with pytest.raises(RecipeError, match="on_bad"):
        Recipe.from_dict(tree).build_data()
