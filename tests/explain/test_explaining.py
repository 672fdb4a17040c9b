"""The whole way on a generator whose explanation is known, and what is refused or told not to be trusted."""

from __future__ import annotations

import dataclasses
import json
from math import nan
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from genkit.core.errors import DataError, EvaluationError, GenkitError
from genkit.explain import single
from genkit.explain.agreement import agreement
from genkit.explain.checks import redrawn_decides
from genkit.explain.encoded import Encoded, Range, Step
from genkit.explain.explaining import SearchSettings, explain
from genkit.explain.explanation import Explanation
from genkit.explain.selection import NotebookSelection, PaperSelection
from genkit.explain.single import explain_image
from tests.explain.toy import DRIVER, PIXELS, Judge, Pixels, binary, images

SETTINGS = SearchSettings(searched=20, examples=3)


def found(**more: Any) -> Explanation:
    return explain(binary(), images(), SETTINGS, judge=Judge(), data={"name": "pixels"}, **more)


def test_the_coordinate_that_drives_the_decision_is_found_for_both_classes() -> None:
    told = list[tuple[int, int]]()
    explanation = found(progress=lambda *at: told.append(at))
    x = images()[:20].flatten(1)
    assert explanation.classes == ("0", "1") and told[-1] == (200, 200)
    for y, direction in ((0, 0), (1, 1)):
        (attribute,) = explanation.attributes[y]
        assert attribute.step == Step(direction, DRIVER) and (attribute.layer, attribute.channel) == ("b", 0)
        assert attribute.target_class == y and attribute.effects.shape == (20,)
        sign, outside = 2 * y - 1, (x[:, DRIVER] > 0) != bool(y)
        target = x[:, DRIVER].max() if y else x[:, DRIVER].min()
        effects = 2 * sign * (target - x[:, DRIVER])
        torch.testing.assert_close(attribute.effects, effects)
        assert attribute.mean_effect == pytest.approx(effects[outside].mean().item(), rel=1e-5)
        mean = (target - x[outside, DRIVER]).mean().item() / x[:, DRIVER].std().item()
        assert attribute.moves["driver"] == pytest.approx(mean, rel=1e-4) and attribute.moves["first"] == 0
        assert attribute.moves["side"] == 1 and attribute.drifts["driver"] == pytest.approx(abs(mean), rel=1e-4)
        assert explanation.sufficiency[y] == [1.0] and len(explanation.random[y]) == 1
        assert explanation.on_originals[y] == 1, "a faithful generator redraws the originals"
    assert explanation.only_probabilities == 0 and explanation.checks.l1 < 1e-6
    assert explanation.checks.redrawn_decides == 1, "nothing is lost"
    assert explanation.checks.agreement == 1 and not [r for r in explanation.checks.reasons if "random" not in r]
    assert explanation.data["name"] == "pixels" and explanation.data["n"] == 40 and explanation.data["others"] == 20
    assert explanation.data["searched_outside"]["0"] == int((x[:, DRIVER] > 0).sum()), "of those searched"
    assert sum(explanation.data["outside"].values()) == 20 and min(explanation.data["outside"].values()) > 0
    assert explanation.settings["selection"] == {"name": "PaperSelection", "threshold": 1.0}


@pytest.mark.parametrize(("strong", "share"), [(4, 0.75), (1, 0.0), (10**6, 1.0)])
def test_who_decides_where_redrawing_loses_a_pixel(strong: int, share: float) -> None:
    """A pixel that is lost outweighs the driver in every `strong`th image: the decision is its own there."""
    weights = torch.zeros(2, PIXELS)
    weights[:, [1, DRIVER]] = torch.tensor([[-2.0], [2.0]])
    loses = Pixels(weights, faithful=torch.tensor([1.0, 0, 1, 1, 1]))
    k = torch.arange(1, 401)
    side = torch.where(k // 2 % 2 == 0, 1.0, -1.0)
    x = torch.zeros(400, 1, 1, PIXELS)
    x[..., DRIVER] = 0.5 * side[:, None, None]
    x[..., 1] = (side * torch.where(k % strong == 0, 0.7, 0.3))[:, None, None]
    assert redrawn_decides(Encoded(loses, x, batch=64)) == pytest.approx(share, abs=0.03)


def test_examples_are_those_that_move_most() -> None:
    explanation = found()
    (example,) = explanation.examples[1]
    low = images()[:20].flatten(1)[:, DRIVER].sort().values[:3]
    high = images()[:20].flatten(1)[:, DRIVER].max()
    assert example.images.shape == (3, 3, 1, 1, 5) and example.images.dtype == torch.uint8
    torch.testing.assert_close(example.before, (4 * low).sigmoid())
    torch.testing.assert_close(example.after, (4 * high).sigmoid().expand(3))
    assert example.images[:, 0].equal(example.images[:, 1])
    assert (example.images[:, 2, 0, 0, DRIVER] == round(127.5 * high.item() + 127.5)).all()


def test_flips_are_of_other_images_than_those_searched() -> None:
    x = images()
    x[20:, ..., DRIVER] = -0.8
    explanation = explain(binary(), x, SETTINGS)
    assert explanation.sufficiency == {0: [], 1: [1.0]}
    assert "no attribute was found towards “0”, or no other image could show it" in explanation.checks.reasons


def test_attributes_that_sway_redrawn_images_alone_are_doubted() -> None:
    explanation = explain(binary(faithful=0.1), images(400), SETTINGS)
    assert explanation.sufficiency == {0: [1.0], 1: [1.0]} and max(explanation.on_originals.values()) < 0.25
    said = [
        reason for reason in explanation.checks.reasons if "the same differences are put on the originals" in reason
    ]
    assert len(said) == 1 and said[0].startswith("all attributes together change far fewer decisions")
    assert (
        "in place of 100\xa0% towards “0” and" in said[0] and "in place of 100\xa0% towards “1”; what sways" in said[0]
    )


def test_an_explanation_without_originals_is_read_as_well(tmp_path: Path) -> None:
    """Those of before the originals were looked at."""
    found().save(tmp_path)
    plain = tmp_path / "explanation.json"
    tree = json.loads(plain.read_text())
    del tree["on_originals"], tree["checks"]["redrawn_decides"]
    plain.write_text(json.dumps(tree))
    again = Explanation.load(tmp_path)
    assert again.on_originals == {} and again.checks.redrawn_decides is None


def test_an_explanation_is_saved_and_read_as_it_was(tmp_path: Path) -> None:
    explanation = found()
    explanation.save(tmp_path)
    again = Explanation.load(tmp_path)
    assert json.dumps(again.to_json()) == json.dumps(explanation.to_json())
    mine, theirs = explanation.tensors(), again.tensors()
    assert mine.keys() == theirs.keys() and all(mine[k].equal(theirs[k]) for k in mine) and len(mine) == 9
    assert explain_image(binary(), again, images()[:1] * 0 - 0.5, 1).flipped


def test_shares_that_are_not_known_are_saved_as_json_that_every_program_reads(tmp_path: Path) -> None:
    unknown = dataclasses.replace(found(), only_probabilities=nan, random={0: [nan, 0.5], 1: []})
    unknown.save(tmp_path)

    def foreign(word: str) -> None:
        raise AssertionError(f"{word} is no JSON")

    kept = json.loads((tmp_path / "explanation.json").read_text(), parse_constant=foreign)
    assert kept["only_probabilities"] is None and kept["random"]["0"] == [None, 0.5]
    assert json.dumps(Explanation.load(tmp_path).to_json()) == json.dumps(unknown.to_json())


@pytest.mark.parametrize("damage", ["missing", "cut", "json", "other", "list"])
def test_a_damaged_explanation_is_told_of_in_one_line(damage: str, tmp_path: Path) -> None:
    found().save(tmp_path)
    tensors, plain = tmp_path / "explanation.safetensors", tmp_path / "explanation.json"
    tree = json.loads(plain.read_text())
    del tree["checks"]
    if damage == "missing":
        plain.unlink()
    elif damage == "cut":
        tensors.write_bytes(tensors.read_bytes()[:-7])
    else:
        plain.write_text({"json": "{", "other": json.dumps(tree), "list": "[]"}[damage])
    with pytest.raises(DataError, match=r"holds no explanation that can be read: ."):
        Explanation.load(tmp_path)


def test_several_classes_have_a_list_each() -> None:
    explanation = explain(Pixels(3 * torch.eye(3, 5)), images(60), SETTINGS)
    assert {y: [a.step for a in found[:1]] for y, found in explanation.attributes.items()} == {
        y: [Step(1, y)] for y in range(3)
    }
    for y, found in explanation.attributes.items():
        outside = [a for a in found if a.s != y]
        assert all(a.direction == 0 or a.s > 2 for a in outside) or not outside


def test_what_is_selected_and_left_out_follows_the_settings() -> None:
    notebook = dataclasses.replace(SETTINGS, selection=NotebookSelection(reach=0.5), most=1)
    assert explain(binary(), images(), notebook).settings["selection"] == {"name": "NotebookSelection", "reach": 0.5}
    shaken = dataclasses.replace(SETTINGS, unstable=(0.01, 1))
    assert explain(binary(), images(), shaken).attributes == {0: [], 1: []}, "every image is moved twice"

    def critic(x: Tensor, condition: Any) -> Tensor:
        return 100 * x[:, 0, 0, DRIVER]

    assert explain(binary(), images(), SETTINGS, critic=critic).attributes == {0: [], 1: []}
    with pytest.raises(EvaluationError, match="most must be at least 1, got 0"):
        SearchSettings(most=0)
    with pytest.raises(EvaluationError, match="searched must be a whole number, got 'a'"):
        SearchSettings(searched="a")  # type: ignore[arg-type]
    with pytest.raises(EvaluationError, match="seed must be at least 0, got -1"):
        SearchSettings(seed=-1)
    with pytest.raises(DataError, match="images must be float32"):
        explain(binary(), images().double(), SETTINGS)
    with pytest.raises(DataError, match="images must be float32"):
        explain_image(binary(), found(), images()[:1].double(), 1)
    with pytest.raises(EvaluationError, match="top=0"):
        agreement(found(), found(), top=0)
    for shift in (0.0, float("nan"), float("inf"), "a", True, 1e308, 10**400):
        with pytest.raises(EvaluationError, match="shift must be finite and above 0, 100 at most"):
            SearchSettings(shift=shift)  # type: ignore[arg-type]
    for wrong, reason in (
        ({"most": True}, "most must be a whole number, got True"),
        ({"colours": "no"}, "colours must be True or False, got 'no'"),
        ({"selection": "paper"}, r"selection must choose among effects, as PaperSelection\(\) does, got 'paper'"),
        ({"selection": PaperSelection}, "selection must choose among effects"),
        ({"unstable": 5}, r"unstable must be a size and a number of effects, as \(2.0, 3\), got 5"),
        ({"unstable": (float("nan"), 3)}, "unstable must be a size and a number"),
    ):
        with pytest.raises(EvaluationError, match=reason):
            SearchSettings(**wrong)  # type: ignore[arg-type]
    with pytest.raises(EvaluationError, match="settings must be SearchSettings, got 'paper'"):
        explain(binary(), images(), "paper")  # type: ignore[arg-type]
    with pytest.raises(EvaluationError, match=r"data is kept in explanation\.json"):
        explain(binary(), images(), SETTINGS, data={"name": torch.tensor(3)})


def test_numbers_of_arrays_are_taken(tmp_path: Path) -> None:
    asked = {"searched": np.int64(20), "shift": np.float32(1), "unstable": (np.float32(9), np.int64(3))}
    told = explain(binary(), images(), SearchSettings(**asked), folder=str(tmp_path / "search"))  # type: ignore[arg-type]
    told.save(tmp_path)
    assert Explanation.load(tmp_path).settings["unstable"] == [9.0, 3] and (tmp_path / "search").is_dir()
    assert agreement(told, told, top=np.int64(1))[1].same


# --- one image ---


def test_one_image_each_attribute_alone_and_as_few_as_flip_it() -> None:
    weights = torch.zeros(2, 5)
    weights[1] = torch.tensor([0.5, 1.0, 2.0, 0.0, 0.0])
    generator = Pixels(4 * weights)
    explanation = explain(generator, images(), dataclasses.replace(SETTINGS, selection=NotebookSelection(100.0)))
    assert {a.s for a in explanation.attributes[1]} == {0, 1, 2}
    x = torch.full((1, 1, 1, 5), -0.6)
    x[..., 2] = -0.2
    told, high = explain_image(generator, explanation, x, "1"), explanation.range.high  # type: ignore[union-attr]
    effects = (4 * weights[1] * (high - x.flatten()))[:3]
    order = effects.argsort(descending=True).tolist()
    assert [change.attributes[0].s for change in told.independent] == order
    assert [change.effect for change in told.independent] == pytest.approx(effects[order].tolist(), rel=1e-4)
    logit, sums = (4 * weights[1] * x.flatten()).sum().item(), effects[order].cumsum(0).tolist()
    enough = 1 + next(k for k, total in enumerate(sums) if logit + total > 0)
    assert [[a.s for a in change.attributes] for change in told.subset] == [order[: k + 1] for k in range(enough)]
    assert told.flipped and told.subset[-1].decision == 1 and told.probabilities[1].item() < 0.5
    assert told.subset[-1].probability == pytest.approx(
        torch.tensor(logit + sums[enough - 1]).sigmoid().item(), rel=1e-4
    )
    assert told.reconstruction.equal(told.original) and told.subset[0].image.shape == (1, 1, 5)


def test_attributes_that_would_not_help_are_not_added() -> None:
    explanation = found()
    attribute = explanation.attributes[0][0]
    wrong = dataclasses.replace(explanation, attributes={1: [attribute], 0: []})
    told = explain_image(binary(), wrong, torch.full((1, 1, 1, 5), -0.5), 1)
    assert not told.subset and not told.flipped and told.independent[0].effect < 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"target": "2"}, "no attributes lead to class '2'; they do to: 0, 1"),
        ({"target": "9" * 5000}, "no attributes lead to class '999"),
        ({"target": 10**5000}, "no attributes lead to class 'an int too large to show'"),
        ({"generator": torch.nn.Linear(1, 1)}, "a Linear explains no classifier; a StyleEx does"),
        (
            {"x": torch.full((1, 1, 1, 5), 0.5)},
            "takes this image for 1 already; ask for another class$",
        ),
        ({"x": torch.zeros(2, 1, 1, 5)}, "one image at a time is explained, got 2"),
        ({"x": torch.zeros(1, 1, 1, 4)}, r"images are float \(B, 1, 1, 5\)"),
        ({"generator": binary(gain=5.0)}, "this explanation is of another generator"),
    ],
)
def test_what_one_image_cannot_be_asked(arguments: dict[str, Any], message: str) -> None:
    given = {"generator": binary(), "explanation": found(), "x": torch.full((1, 1, 1, 5), -0.5), "target": 1}
    with pytest.raises(GenkitError, match=message):
        explain_image(**(given | arguments))


def test_redrawing_that_changes_the_decision_is_told() -> None:
    generator = binary()
    x = torch.full((1, 1, 1, 5), -0.5)
    taken = Encoded(generator, x)
    assert int(taken.seen.argmax()) == 0
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(single, "Encoded", lambda *_: SimpleNamespace(seen=taken.seen, logits=taken.logits.flip(1)))
        with pytest.raises(EvaluationError, match="takes this image for 0, but as it is redrawn for 1 already"):
            explain_image(generator, found(), x, 1)


# --- two explanations ---


def test_agreement_is_of_what_attributes_move() -> None:
    one, two = found(), explain(binary(gain=6.0), images(seed=5), SETTINGS, judge=Judge())
    for told in agreement(one, two).values():
        assert told.moved == ("driver", "driver") and told.same and told.cosine > 0.9
    weights = torch.zeros(2, 5)
    weights[1, 0] = 4.0
    other = explain(Pixels(weights), images(), SETTINGS, judge=Judge())
    for told in agreement(one, other).values():
        assert told.moved == ("driver", "first") and not told.same and abs(told.cosine) < 0.1
    back = binary()
    back.weights *= -1
    reverse = explain(back, images(), SETTINGS, judge=Judge())
    assert not any(told.same for told in agreement(one, reverse).values())
    unjudged = explain(binary(), images(), SETTINGS)
    read = unjudged.attributes[1][0].moves
    assert {"brightness", "area that stands out", "how far down it lies"} <= set(read) and abs(read["brightness"]) > 0.1
    assert agreement(unjudged, explain(binary(gain=6.0), images(seed=5), SETTINGS))[1].same
    with pytest.raises(EvaluationError, match="was not measured by one judge"):
        agreement(one, unjudged)
    less = [two.attributes[1][0], dataclasses.replace(two.attributes[1][0], moves={"driver": 1.0})]
    assert agreement(one, dataclasses.replace(two, attributes={1: less}))[1].moved == ("driver", "driver")
    with pytest.raises(EvaluationError, match="one explains 0, 1, the other 0, 1, 2"):
        agreement(one, explain(Pixels(3 * torch.eye(3, 5)), images(60), SETTINGS))


# --- refusals and doubts ---


@pytest.mark.parametrize(
    ("generator", "x", "message"),
    [
        (binary(), images(19), "19 images are too few: at least 10 are searched, and 10 others show"),
        (binary(), images().abs(), "takes all 20 images for 1; to explain a decision takes both sides"),
        (
            binary(faithful=-0.2),
            images(),
            r"further from the images \(0\.\d+\) than the mean image is \(0\.\d+\).*untrained",
        ),
        (torch.nn.Linear(1, 1), images(), "a Linear explains no classifier; a StyleEx does"),
        (binary(), images()[..., :4], r"images are float \(B, 1, 1, 5\)"),
        (binary(), 2 * images(), "pixels are in"),
        (Pixels(torch.ones(1, 5)), images(), "logits of at least 2 classes are wanted"),
        (binary(gain=float("nan")), images(), "of image 0; finite logits are wanted"),
    ],
)
def test_what_cannot_be_explained_is_refused_in_one_line(generator: Any, x: Tensor, message: str) -> None:
    with pytest.raises(GenkitError, match=message) as refused:
        explain(generator, x, SETTINGS)
    assert "\n" not in str(refused.value)


def test_a_generator_that_forgets_a_class_is_refused() -> None:
    class Forgetful(Pixels):
        def pictured_styles(self, styles: Any) -> Tensor:
            x = super().pictured_styles(styles)
            return torch.cat([x[..., :DRIVER], x[..., DRIVER:].abs()], -1)

    with pytest.raises(EvaluationError, match=r"all 20 reconstructions for 1.*or train longer"):
        explain(Forgetful(binary().weights), images(), SETTINGS)


def reasons(generator: Pixels, x: Tensor, **more: Any) -> str:
    return "\n".join(explain(generator, x, dataclasses.replace(SETTINGS, **more)).checks.reasons)


def test_reasons_not_to_trust_it() -> None:
    assert "images are not redrawn faithfully: a pixel is off by" in reasons(binary(faithful=0.4), images())
    assert "not redrawn faithfully" not in reasons(binary(faithful=0.6), images())
    assert "certain (over 99.9%) of 100%" in reasons(binary(gain=400.0), images())
    assert "together change few of the decisions: 0\xa0% towards “0” and 0\xa0% towards “1”; they are" in reasons(
        binary(), images(), shift=0.001, selection=NotebookSelection(0.0001)
    )
    assert "at random change decisions too" in reasons(
        Pixels(torch.stack([-20 * torch.ones(5), 20 * torch.ones(5)])), images(80), draws=40
    )
    assert "decides may be too faint to be seen" in reasons(binary(faithful=0.6), images(), shift=0.05)
    assert "too faint" not in reasons(binary(faithful=0.6), images())
    weights = binary().weights + torch.tensor([[0.0], [1.0]]) * torch.tensor([12.0, 0, 0, 0, 0])

    class Partial(Pixels):
        def encode(self, x: Tensor) -> Tensor:
            return x.flatten(1) * torch.tensor([0.0, 1, 1, 1, 1])

    assert "it decides otherwise of" in reasons(Partial(weights), images())
    plain = reasons(binary(), images())
    assert "hardly" not in plain and "certain" not in plain and "otherwise" not in plain and "together" not in plain


def test_the_mode_of_the_generator_is_given_back() -> None:
    generator = binary().train()
    explain(generator, images(), SETTINGS)
    assert generator.training


def test_the_numbers_of_pictures_do_not_depend_on_the_batch() -> None:
    few, many = (Encoded(binary(), images(9), batch) for batch in (2, 64))
    assert few.logits.equal(many.logits) and Range.of(few.flat).low.equal(Range.of(many.flat).low)
    assert few.images(torch.arange(9)).equal(many.images(torch.arange(9)))
