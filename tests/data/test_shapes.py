from __future__ import annotations

import math

import pytest
import torch

from genkit.core.catalog import build
from genkit.core.columns.labels import Labels
from genkit.core.columns.values import Values
from genkit.core.errors import DataError
from genkit.data.shapes import COLUMNS, SHAPES, rendered, shapes
from genkit.images.hue import CHROMA, chroma_of, coloured, hue_of

MIDDLE = {"hue": 0.0, "size": 0.5, "x": 0.0, "y": 0.0, "rotation": 0.0, "background": 0.0}


def drawn(shape: str, size: int = 64, **factors: float) -> torch.Tensor:
    """(size, size): how much of every pixel one shape covers."""
    known = {name: torch.tensor([value]) for name, value in {**MIDDLE, **factors}.items()}
    x = rendered({"shape": torch.tensor([SHAPES.index(shape)]), **known}, size)
    return chroma_of(x.float() / 255)[0] / CHROMA


def spread(covered: torch.Tensor) -> tuple[float, float]:
    """How far the middle of the covered pixels lies to the right and down, in halves of the side."""
    line = (torch.arange(len(covered)) + 0.5) * 2 / len(covered) - 1
    return ((covered * line).sum() / covered.sum()).item(), ((covered.T * line).sum() / covered.sum()).item()


def test_image_i_is_a_function_of_seed_split_and_i() -> None:
    whole = shapes(n=50)
    assert whole.x.shape == (50, 3, 32, 32) and whole.x.dtype == torch.uint8
    assert shapes(n=20).x.equal(whole.x[:20]) and shapes(n=20).fingerprint == shapes(n=20).fingerprint
    for other in (shapes("test", n=50), shapes(n=50, seed=1)):
        assert not other.x.equal(whole.x)
    assert len(shapes("test")) == 2000 and shapes(n=3, size=64).sample_shape == (3, 64, 64)
    assert shapes(n=20, size=64).attributes["hue"].equal(whole.attributes["hue"][:20]), "the same at any size"


def test_factors_are_uniform_and_independent() -> None:
    known = shapes(n=4000, size=8).attributes
    rows = []
    for name, column in COLUMNS.items():
        values = known[name].double()
        low, high = (0, 3) if isinstance(column, Labels) else (column.low, column.high)
        assert low <= values.min() < low + 0.01 * (high - low) and high - 0.01 * (high - low) < values.max() <= high
        rows.append((values - values.mean()) / values.std())
        if isinstance(column, Values):
            assert abs(values.std() / column.span - 12**-0.5) < 0.01
    assert known["shape"].bincount().sub(1000).abs().max() < 100
    both = torch.stack(rows).corrcoef() - torch.eye(len(rows))
    assert both.abs().max() < 0.06


def test_attributes_are_what_is_drawn() -> None:
    data = shapes(n=400)
    x, known = data.x.float() / 255, data.attributes
    apart = COLUMNS["hue"].distance(hue_of(x.mean((2, 3))), known["hue"])
    assert 360 * apart.max() < 2, "degrees; the background is grey"
    radius = (4 * (chroma_of(x) / CHROMA).mean((1, 2)) / math.pi).sqrt()
    inside = known["size"] < 0.5
    assert (radius - known["size"])[inside].abs().max() < 0.01
    assert (x[:, :, 0, 0].mean(1) - known["background"])[inside].abs().max() < 0.003


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_of_a_size_covers_as_much(shape: str) -> None:
    assert abs(drawn(shape).mean().item() * 4 - math.pi / 4) < 0.01
    for factors in ({"x": 0.2}, {"y": 0.2}, {"x": -0.2, "y": 0.1}):
        right, down = spread(drawn(shape, size=128, **factors))
        assert abs(right - factors.get("x", 0)) < 0.01 and abs(down - factors.get("y", 0)) < 0.01


def test_shapes_look_as_they_are_called() -> None:
    disc, square, triangle, cross = (drawn(shape) > 0.5 for shape in SHAPES)
    assert disc.equal(disc.T) and disc.flip(0).equal(disc)
    rows = square.sum(1)
    assert set(rows.tolist()) == {0, int(square.sum() / (rows > 0).sum())}, "all of its rows are of one length"
    widths = triangle.sum(1)[triangle.any(1)]
    assert widths[0] < 3 and widths[-1] > 30 and (widths.diff() >= 0).all(), "a corner up"
    assert len(cross.sum(1)[cross.any(1)].unique()) == 2 and cross.equal(cross.T), "arms and a bar"


def test_rotations_are_clockwise() -> None:
    top = drawn("triangle", rotation=0.25) > 0.5
    first = int(top.any(1).nonzero()[0])
    assert top[first].nonzero().float().mean() > 34, "the corner that is up has moved to the right"


def test_edges_are_ramps() -> None:
    levels = drawn("disc", size=32, x=0.03, y=0.01).unique()
    assert len(levels) > 10 and levels.min() == 0 and levels.max() > 0.99


def test_hue_may_be_tied_to_shape() -> None:
    known = shapes(n=2000, size=8, correlated=1.0).attributes
    assert (known["hue"] - (known["shape"] + 0.5) / 4).abs().max() < 1e-6
    some = shapes(n=2000, size=8, correlated=0.5).attributes
    apart = COLUMNS["hue"].distance(some["hue"], (some["shape"] + 0.5) / 4)
    assert 0.24 < apart.max() <= 0.2501 and some["shape"].equal(shapes(n=2000, size=8).attributes["shape"])
    free = shapes(n=4000, size=8, correlated=1e-9).attributes
    assert abs((free["hue"] - 0.5).mean()) < 0.02 and free["hue"].std() > 0.28


def test_hues_are_those_of_coloured_pixels() -> None:
    names = coloured(torch.tensor([0, 1 / 3, 2 / 3]))
    assert names.argmax(1).tolist() == [0, 1, 2]
    hue = torch.rand(500)
    assert COLUMNS["hue"].distance(hue_of(0.3 * coloured(hue) + 0.1), hue).max() < 1e-5
    assert hue_of(torch.full((1, 3), 0.5)).tolist() == [0]


def test_by_name_and_without_attributes() -> None:
    plain = build({"type": "shapes", "n": 5, "attributes": False}, kind="data")
    assert not plain.conditions and plain.x.equal(shapes(n=5).x) and not plain.sided


def test_labels_of_a_factor_depend_on_it_alone() -> None:
    whole, plain = shapes(n=4000, size=8, label="size"), shapes(n=4000, size=8)
    assert whole.labels is not None and whole.classes == ("small", "large") and plain.labels is None
    assert whole.x.equal(plain.x) and shapes(n=50, size=8, label="size").labels.equal(whole.labels[:50])  # type: ignore[union-attr]
    size = whole.attributes["size"]
    agree = ((size > 0.5) == whole.labels.bool()).double().mean()
    assert abs(agree - 0.8677) < 0.02, "the mean of sigmoid(3 |s|), s uniform on [-sqrt 3, sqrt 3]"
    for name in set(COLUMNS) - {"size"}:
        both = torch.stack([whole.attributes[name].double(), whole.labels.double()]).corrcoef()
        assert abs(both[0, 1]) < 0.06
    near = (size - 0.5).abs() < 0.02
    assert 0.4 < whole.labels[near].double().mean() < 0.6
    hues = shapes(n=4000, size=8, label="hue")
    assert hues.labels is not None and hues.classes == ("cyan", "red")
    red = (hues.attributes["hue"] < 0.125) | (hues.attributes["hue"] > 0.875)
    assert hues.labels[red].double().mean() > 0.97
    assert hues.labels[(hues.attributes["hue"] - 0.5).abs() < 0.125].double().mean() < 0.03


def test_a_planted_shortcut() -> None:
    whole, plain = (shapes(n=4000, size=8, label="size", shortcut=c) for c in (0.9, 0.0))
    assert whole.labels is not None and plain.labels is not None and whole.labels.equal(plain.labels)
    assert whole.attributes["size"].equal(plain.attributes["size"])
    reddish = (2 * math.pi * whole.attributes["hue"]).cos() > 0
    assert abs((reddish == whole.labels.bool()).double().mean() - 0.95) < 0.02
    x = whole.x.float() / 255
    assert 360 * COLUMNS["hue"].distance(hue_of(x.mean((2, 3))), whole.attributes["hue"]).max() < 4  # type: ignore[attr-defined]
    for label in (None, "hue"):
        with pytest.raises(DataError, match="set label: size"):
            shapes(n=5, label=label, shortcut=0.5)  # type: ignore[arg-type]
