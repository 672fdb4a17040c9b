from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import pytest
from pydantic import Field
from torch import nn

from genkit.cli.info_words import described
from genkit.cli.main import main
from genkit.core import catalog
from genkit.core.conversion import SharedArguments
from genkit.core.entry import Entry
from genkit.core.errors import RecipeError
from genkit.core.pretrained import Pretrained


@dataclass(frozen=True)
class Shape(SharedArguments):
    size: Annotated[int, Field(ge=1)]
    widths: Sequence[int] = (1, 2)
    rate: float = 0.5

    def __post_init__(self) -> None:
        if len(self.widths) > self.size:
            raise RecipeError(f"widths: {len(self.widths)} are too many for size {self.size}")


SMALL = Shape(size=3, rate=0.25)


class Plain(Pretrained, nn.Module):
    def __init__(self, depth: int, shape: Shape, last: int = 7):
        super().__init__()
        self.depth, self.shape, self.last = depth, shape, last


class WithDefault(Pretrained, nn.Module):
    def __init__(self, shape: Shape = SMALL):
        super().__init__()
        self.shape = shape


class Around(Pretrained, nn.Module):
    def __init__(self, inner: WithDefault):
        super().__init__()
        self.inner = inner


@pytest.fixture(autouse=True)
def names(monkeypatch):
    for name in ("Plain", "WithDefault", "Around"):
        monkeypatch.setitem(catalog.CATALOG["networks"], name.lower(), Entry(f"{__name__}:{name}", "", ()))


def test_a_file_writes_the_fields_beside_the_other_arguments_and_so_does_the_record():
    made = catalog.build({"type": "plain", "depth": 2, "size": "4", "rate": "1e-1"})
    assert made.depth == 2 and made.last == 7 and made.shape == Shape(4, rate=0.1)
    assert made.config == {"type": "plain", "depth": 2, "size": 4, "widths": [1, 2], "rate": 0.1, "last": 7}
    assert catalog.build(made.config).shape == Shape(4, [1, 2], 0.1)
    assert Plain(2, Shape(4)).config == catalog.build({"type": "plain", "depth": 2, "size": 4}).config


def test_a_constructors_default_is_the_default_of_every_field():
    assert catalog.build({"type": "withdefault"}).shape == SMALL
    assert catalog.build({"type": "withdefault", "size": 9}).shape == Shape(9, rate=0.25)
    assert [(name, default) for name, _, default in described(WithDefault)] == [
        ("size", "default 3"),
        ("widths", "default (1, 2)"),
        ("rate", "default 0.25"),
    ]


def test_info_tells_what_every_field_means(capsys):
    main(["info", "super_resolution_unet"])
    told = capsys.readouterr().out
    assert "blocks: residual blocks of an encoder level" in told and "decoder_heads: that many heads" in told


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"type": "plain", "depth": 1}, "here: missing key 'size'; Plain needs it"),
        ({"type": "plain", "depth": 1, "size": 0}, "here.size: input should be greater than or equal to 1, got 0"),
        ({"type": "plain", "depth": 1, "size": 2, "shape": 1}, "here.shape: unknown key"),
        ({"type": "plain", "depth": 1, "size": 2, "width": [1]}, "here.width: unknown key; did you mean 'widths'"),
        ({"type": "plain", "depth": 1, "size": 1}, "here: widths: 2 are too many for size 1"),
        ({"type": "around", "inner": {"type": "withdefault", "size": 1}}, "here.inner: widths: 2 are too many"),
    ],
    ids=str,
)
def test_what_does_not_fit_is_told_by_its_place_before_anything_is_built(spec, message):
    with pytest.raises(RecipeError) as refusal:
        catalog.check(spec, where="here")
    assert str(refusal.value).startswith(message), refusal.value
