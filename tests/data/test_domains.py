"""A labelled source beside a target without labels."""

from __future__ import annotations

import pytest
import torch

from genkit.core.catalog import build
from genkit.core.errors import DataError
from genkit.data.dataset import DataSet
from genkit.data.domains import domains

NAMES = ("a", "b", "c", "d")


def images(name: str, n: int = 12, side: int = 2, classes: tuple[str, ...] = NAMES) -> DataSet:
    x = torch.arange(n * side * side).remainder(256).to(torch.uint8).view(n, 1, side, side)
    return DataSet(name, x, torch.arange(n) % max(len(classes), 3), classes)


def test_the_source_keeps_its_labels_and_the_target_loses_them() -> None:
    source, target = images("here"), images("there", 20)
    both = domains(source, target)
    assert both.labels.equal(source.labels) and both.classes == NAMES and both.name == "here to there"
    assert both.target.x.equal(target.x) and both.target.labels is None and both.target.classes == ()
    assert not both.target.conditions and target.labels is not None


def test_the_fingerprint_tells_of_both_domains_and_not_of_the_target_labels() -> None:
    source = images("here")
    print_of = {name: domains(source, target).fingerprint for name, target in VARIANTS.items()}
    assert print_of["plain"] == print_of["relabelled"] != print_of["changed"]
    assert domains(VARIANTS["changed"], VARIANTS["plain"]).fingerprint != print_of["plain"]


PLAIN = images("there", 20)
VARIANTS = {
    "plain": PLAIN,
    "relabelled": DataSet("there", PLAIN.x, PLAIN.labels.flip(0), NAMES),
    "changed": DataSet("there", PLAIN.x.flip(0), PLAIN.labels, NAMES),
}


@pytest.mark.parametrize(
    ("source", "target", "message"),
    [
        (DataSet("here", images("x").x), images("there"), "the source here has no labels"),
        (images("here"), images("there", 12, 3), r"source samples are \[1, 2, 2\], target samples \[1, 3, 3\]"),
        (images("here"), images("there", classes=("a", "b", "c")), "has 4 classes and the target 3"),
        (images("here"), images("there", classes=("a", "b", "q", "d")), "class 'c' is 'q' in the target"),
    ],
)
def test_refuses(source: DataSet, target: DataSet, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        domains(source, target)
    assert "\n" not in str(caught.value)


def test_from_a_recipe_where_the_target_may_come_without_labels_or_names() -> None:
    target = DataSet("there", images("there").x)
    assert len(domains(images("here"), target).target) == 12
    assert len(domains(images("here", classes=()), images("there", classes=())).target) == 12
    spec = {"type": "digits", "split": "test", "size": 8}
    built = build({"type": "domains", "source": spec, "target": {"type": "shifted", "data": spec, "inverted": True}})
    assert built.target.x.equal(255 - built.x)
