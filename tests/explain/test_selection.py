"""Selections against recorded ones of the authors' functions, and on small effects that can be seen through."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from genkit.explain.encoded import Step
from genkit.explain.selection import (
    NotebookSelection,
    PaperSelection,
    ShareSelection,
    merged,
    unstable,
    without,
)
from tests.shared import shared

Recorded = tuple[dict[str, Any], Tensor]


@pytest.fixture(scope="module")
def recorded() -> Recorded:
    folder = shared("fixtures", "stylex")
    config = json.loads((folder / "config.json").read_text())
    return config, load_file(folder / "io.safetensors")["out.att.effect"]


def towards(recorded: Recorded, y: int) -> Tensor:
    config, effect = recorded
    return effect[torch.tensor(config["results"]["labels"]) != y, :, :, y]


def plain(steps: list[Step]) -> list[list[int]]:
    return [[step.direction, step.s] for step in steps]


@pytest.mark.parametrize("y", [0, 1])
def test_recorded_selections(recorded: Recorded, y: int) -> None:
    config, results = recorded[0], recorded[0]["results"]
    effect, most = towards(recorded, y), config["num_indices"]
    found = NotebookSelection(config["max_image_effect"])(effect, most)
    assert plain(found) == results[f"notebook.find_significant_styles.class{y}"]
    own, left = results[f"own.algorithm1.class{y}"], effect.double()
    steps = PaperSelection(config["paper_threshold"])(effect, most)
    assert plain(steps) == own["selected"]
    for step, mean in zip(steps, own["mean_effect"], strict=True):
        assert left[:, step.direction, step.s].mean().item() == pytest.approx(mean, abs=1e-6)
        left = left[left[:, step.direction, step.s] <= config["paper_threshold"]]
    assert len(left) == own["left_unexplained"]


@pytest.mark.parametrize("y", [0, 1])
def test_the_recorded_order_by_share_of_images(recorded: Recorded, y: int) -> None:
    """Ties in any order, and any of those that tie for the last places."""
    config, results = recorded[0], recorded[0]["results"]
    theirs, expected = results[f"notebook.image_fraction.class{y}"], results[f"notebook.image_fraction.class{y}.counts"]
    selection = ShareSelection(config["fraction_effect"])
    counts = selection.counts(towards(recorded, y))
    steps = plain(selection(towards(recorded, y), len(theirs)))
    assert [int(counts[d, s]) for d, s in steps] == [int(counts[d, s]) for d, s in theirs] == expected
    for count in set(expected) - {expected[-1]}:
        whole = {tuple(step) for step in (counts == count).nonzero().tolist()}
        assert {tuple(step) for step in steps if counts[*step] == count} == whole


def test_the_recorded_merge_and_the_unstable_image(recorded: Recorded) -> None:
    config, effect = recorded
    results = config["results"]
    lists = [[Step(*step) for step in results[f"notebook.find_significant_styles.class{y}"]] for y in (0, 1)]
    assert plain(merged(effect, *lists)) == results["notebook.merged_to_class0"]
    shaken = unstable(effect, config["unstable_threshold"], config["unstable_count"])
    assert shaken.nonzero().flatten().tolist() == results["unstable_images"]
    left = without(effect, shaken)
    assert not left[shaken].any() and left[~shaken].equal(effect[~shaken])


def effects(*rows: dict[tuple[int, int], float]) -> Tensor:
    """(n, 2, 4): for each image what (direction, coordinate) does."""
    found = torch.zeros(len(rows), 2, 4)
    for n, row in enumerate(rows):
        for (d, s), value in row.items():
            found[n, d, s] = value
    return found


def test_the_paper_takes_the_next_for_images_that_none_explains_and_stops_when_all_are() -> None:
    effect = effects({(0, 1): 3.0, (1, 2): 0.5}, {(0, 1): 3.0, (1, 2): 0.5}, {(1, 2): 1.5}, {(1, 3): 1.2})
    assert plain(PaperSelection(1.0)(effect, 10)) == [[0, 1], [1, 2], [1, 3]]
    assert plain(PaperSelection(1.0)(effect, 2)) == [[0, 1], [1, 2]]
    assert PaperSelection(1.0)(-effect, 10) == [], "nothing raises the logit"
    assert PaperSelection(1.0)(effect[:0], 10) == []


def test_the_paper_takes_no_coordinate_that_raises_the_logit_both_ways() -> None:
    both = effects({(0, 1): 3.0, (1, 1): 0.1, (1, 2): 0.5})
    assert plain(PaperSelection(1.0)(both, 10)) == [[1, 2]]
    assert plain(NotebookSelection(1.0)(both, 10)) == [[0, 1]], "the notebook does"


def test_the_paper_takes_a_coordinate_once_and_the_notebook_either_way() -> None:
    effect = effects({(0, 0): 3.0, (1, 0): -3.0}, {(0, 0): -1.0, (1, 0): 0.5, (1, 1): 0.4})
    assert plain(PaperSelection(1.0)(effect, 10)) == [[0, 0], [1, 1]]
    assert plain(NotebookSelection(1.0)(effect, 10)) == [[0, 0], [1, 0], [1, 1]]


def test_the_share_asks_for_twice_as_many_at_most_as_the_notebook_does() -> None:
    effect, asked = effects({(1, s): 1.0 for s in range(4)}), list[Step]()

    def refuse(step: Step) -> bool:
        asked.append(step)
        return step.s == 3

    assert ShareSelection()(effect, 1, refuse) == [] and len(asked) == 2
    assert plain(ShareSelection()(effect, 2, refuse)) == [[1, 3]]


def test_the_notebook_adds_effects_up_and_ends_when_all_images_are_explained() -> None:
    effect = effects({(0, 1): 0.8, (1, 3): 0.5}, {(0, 1): 0.8, (1, 2): -5.0, (1, 3): 0.1, (1, 0): 0.4})
    steps = NotebookSelection(1.0)(effect, 10)
    assert plain(steps) == [[0, 1], [1, 3], [1, 0]], "not coordinate 0 again and again"


def test_by_share_at_least_so_many_images() -> None:
    effect = effects(*[{(0, 1): 0.3}] * 3, {(1, 2): 5.0}, *[{}] * 46)
    assert plain(ShareSelection(0.2, 0.05)(effect, 10)) == [[0, 1]]
    assert plain(ShareSelection(0.2, 0.0)(effect, 10)) == [[0, 1], [1, 2]], "never one that moves none"


@pytest.mark.parametrize("selection", [PaperSelection(), NotebookSelection(), ShareSelection()])
def test_what_is_not_accepted_is_passed_over(selection: Any) -> None:
    effect = effects({(0, 1): 3.0, (1, 2): 2.0}, {(0, 1): 3.0, (1, 2): 2.0})
    asked = list[Step]()

    def accept(step: Step) -> bool:
        asked.append(step)
        return step.s != 1

    assert selection(effect, 1, accept) == [Step(1, 2)] and asked == [Step(0, 1), Step(1, 2)]
