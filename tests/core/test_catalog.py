from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
import torch
from pydantic import Field

from genkit.core import catalog
from genkit.core.catalog import build, convert, find, name_of
from genkit.core.errors import RecipeError
from genkit.core.table import register
from genkit.data.dataset import DataSet
from genkit.gan.networks.mlp import MLPCritic
from genkit.gan.slots import Term
from genkit.training.optimizers import Optimizer

GAME = {
    "type": "gan_training",
    "generator": {"type": "gan", "network": {"type": "mlp_generator", "latent_dim": 3, "width": 4}},
    "critic": {"type": "mlp_critic", "width": 4},
    "penalties": [{"type": "r1", "weight": "1e-1"}],
}


def test_nested_specs_are_built_depth_first_and_numbers_in_strings_converted() -> None:
    game = build(GAME, kind="systems")
    assert game.penalties[0].weight == 0.1 and game.generator.latent_dim == 3


def test_first_weights_do_not_depend_on_the_order_of_keys() -> None:
    made = []
    for spec in (GAME, dict(reversed(GAME.items()))):
        torch.manual_seed(0)
        made.append(build(spec).state_dict())
    assert all(made[0][k].equal(made[1][k]) for k in made[0])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"type": "gan_trainin"}, r"^s\.type: unknown type 'gan_trainin'; did you mean 'gan_training'"),
        ({"type": None}, r"^s\.type: unknown type None"),
        ({"type": "gan"}, r"^s\.type: unknown type 'gan'"),
        ({"critic_step": 2}, r"^s\.critic_step: unknown key; did you mean 'critic_steps'"),
        ({"critic_steps": 0}, r"^s\.critic_steps: .*greater than or equal to 1, got 0"),
        ({"critic_steps": True}, r"^s\.critic_steps: got true; a yes or no"),
        ({"critic_steps": 1.5}, r"^s\.critic_steps"),
        ({"penalties": [{"type": "r1", "weight": math.inf}]}, r"^s\.penalties\[0\]\.weight: .* finite number, got inf"),
        ({"critic": 3}, r"^s\.critic: needs a mapping with the key 'type', got 3"),
        ({"critic": {"width": 4}}, r"^s\.critic: needs the key 'type'"),
        ({"critic": {"type": "mlp_critic", "width": "wide"}}, r"^s\.critic\.width: .*got 'wide'"),
        ({"critic": {"type": "mlp_critic", "dims": 3}}, r"^s: the generator makes \[2\] but the critic judges \[3\]"),
        ({"generator": {"type": "mlp_critic"}}, r"^s\.generator: 'mlp_critic' does not make a GAN"),
        ({"generator": {"type": "gan"}}, r"^s\.generator: missing key 'network'; GAN needs it"),
        ({"penalties": {"type": "r1"}}, r"^s\.penalties: needs a list"),
        ({"penalties": [{"type": "r1"}, {"type": "hinge"}]}, r"^s\.penalties\[1\]: 'hinge' does not make a Term"),
        ({"penalties": [{"type": "gradient_penalty", "sides": "three"}]}, r"^s\.penalties\[0\]\.sides: .*got 'three'"),
    ],
)
def test_what_is_wrong_is_named_by_its_path_in_one_line(change: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message) as error:
        build({**GAME, **change}, kind="systems", where="s")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("hint", "value", "want"),
    [
        (float, "1e-4", 1e-4),
        (int | None, None, None),
        (int | None, "3", 3),
        (Annotated[int, Field(ge=2)], 2, 2),
        (tuple[float, float], [0, "0.9"], (0.0, 0.9)),
        (Literal["a", "b"], "b", "b"),
        (Literal["no", "bf16"], False, "no"),
        (Literal["on", "off"], True, "on"),
        (bool, True, True),
        (list[Term], [], []),
        (Any, [1], [1]),
    ],
)
def test_values_become_what_the_hint_says(hint: Any, value: Any, want: Any) -> None:
    got = convert(hint, value)
    assert got == want and type(got) is type(want)


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan, "nan", "inf"])
def test_a_number_is_finite_unless_the_hint_says_otherwise(value: Any) -> None:
    single, several = (float, Annotated[float, Field()], float | None), (list[float], tuple[float, float])
    for hint, given in (*((h, value) for h in single), *((h, [1.0, value]) for h in several)):
        with pytest.raises(RecipeError, match=r"^a(\[1\])?: input should be a finite number, got '?-?(inf|nan)'?$"):
            convert(hint, given, where="a")
    assert not math.isfinite(convert(Annotated[float, Field(allow_inf_nan=True)], value))


BAD_OUTSIDE: list[tuple[dict[str, Any], str]] = [
    ({"type": "part", "stopp": 3}, r"stopp: unknown key; did you mean 'stop'"),
    ({"type": "part"}, "missing key 'stop'"),
    ({"type": "part", "stop": 0}, "stop: input should be greater than or equal to 1"),
    ({"type": "shifted", "noise": 2}, "noise: .*less than or equal to 1"),
    ({"type": "outlier_mixture", "share": 0.7}, "share: .*less than 0.5"),
    ({"type": "outlier_mixture", "junk": {"type": "digitz"}}, r"junk\.type: unknown type 'digitz'"),
    ({"type": "outlier_mixture", "junk": {"type": "adam", "lr": 1}}, "junk: 'adam' does not make a DataSet"),
]


@pytest.mark.parametrize(("outer", "message"), BAD_OUTSIDE)
def test_all_keys_are_checked_before_anything_is_built(
    monkeypatch: pytest.MonkeyPatch, outer: dict[str, Any], message: str
) -> None:
    from genkit.data import digits

    monkeypatch.setattr(digits, "_embedded", lambda: pytest.fail("the inner data were read"))
    with pytest.raises(RecipeError, match=message):
        build({**outer, "data": {"type": "digits"}}, kind="data")
    with pytest.raises(RecipeError, match=message):
        catalog.check({**outer, "data": {"type": "digits"}}, kind="data")


def test_an_object_that_is_built_already_stays() -> None:
    critic = MLPCritic(2, 4, 1)
    assert convert(MLPCritic, critic) is critic


@pytest.mark.parametrize(
    ("change", "near"),
    [
        ({"objective": {"type": "hing"}}, "s.objective.type: unknown type 'hing'; did you mean 'hinge'?"),
        (
            {"objective": {"type": "lion"}},
            "s.objective.type: unknown type 'lion'; accepted: hinge, non_saturating, wasserstein",
        ),
        (
            {"objective": {"type": "linear"}},
            "s.objective: 'linear' does not make an Objective; accepted: hinge, non_saturating, wasserstein",
        ),
        ({"generator": {"type": "gann"}}, "s.generator.type: unknown type 'gann'; did you mean 'gan'?"),
        ({"objective": {}}, "s.objective: needs the key 'type'; accepted: hinge, non_saturating, wasserstein"),
        ({"view": {"type": "diff_augmnt"}}, "s.view.type: unknown type 'diff_augmnt'; did you mean 'diff_augment'?"),
    ],
)
def test_names_are_those_that_fit_the_place(change: dict[str, Any], near: str) -> None:
    with pytest.raises(RecipeError) as error:
        build({**GAME, **change}, kind="systems", where="s")
    assert str(error.value) == near


def test_an_optimizer_is_not_answered_with_a_schedule() -> None:
    with pytest.raises(
        RecipeError, match=r"unknown type 'lion'; accepted: adam, adam_entry_clip, adam_norm_grad, adamax, adamw, sgd$"
    ):
        convert(Optimizer, {"type": "lion", "lr": 1})
    with pytest.raises(RecipeError, match="'adam' does not make a LearningRate; accepted: constant, cosine, inverse"):
        convert(Optimizer, {"type": "adam", "lr": 1, "schedule": {"type": "adam"}})


def test_what_does_not_fit_is_not_built_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """A data set in the place of a network would be downloaded only to be refused."""
    monkeypatch.setattr("genkit.data.digits.digits", _not_called)
    with pytest.raises(RecipeError, match=r"'digits' does not make a GAN; accepted: gan, styleex$"):
        build({**GAME, "generator": {"type": "digits"}})


def _not_called() -> DataSet:
    raise AssertionError("built")


def test_names_and_classes() -> None:
    assert find("mlp_critic") is MLPCritic and name_of(MLPCritic) == "mlp_critic"
    with pytest.raises(RecipeError, match="did you mean 'mlp_critic'"):
        find("mlp_critc", kind="networks")


def test_a_class_of_ones_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(catalog.CATALOG, "networks", dict(catalog.CATALOG["networks"]))
    register("networks", "my_critic", "genkit.gan.networks.mlp:MLPCritic")
    assert type(build({"type": "my_critic"})) is MLPCritic
    with pytest.raises(RecipeError, match=r"no kind 'network' .*did you mean 'networks'"):
        register("network", "x", "y:z")
    for target in (dict, "somewhere"):
        with pytest.raises(RecipeError, match=r"^x: the target is a text 'package\.module:name', got "):
            register("networks", "x", target)  # type: ignore[arg-type]
    with pytest.raises(RecipeError, match="already has 'gan'"):
        register("networks", "gan", "y:z")


def test_a_module_path_is_no_type() -> None:
    for name in ("os:system", "genkit.gan.networks.mlp:MLPCritic", "builtins:eval"):
        with pytest.raises(RecipeError, match="unknown type"):
            build({"type": name})


def test_shipped_folders_exist() -> None:
    assert isinstance(catalog.shipped("recipes"), Path) and list(catalog.shipped("recipes").glob("*/*.yaml"))
