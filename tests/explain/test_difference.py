"""Differences, sheets and animations of an explanation."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from PIL import Image
from torch import Tensor

from genkit.core.errors import DataError
from genkit.explain.difference import BRIGHTER, DARKER, difference, on_white
from genkit.explain.sheet import sheet, write_sheets
from genkit.explain.strip import frames, strengths, write_strip
from genkit.images.grid import TILE as SIDE
from tests.explain.made import LARGE, explanation


def test_a_difference_has_a_colour_by_its_sign_and_an_opacity_by_its_size() -> None:
    before = torch.full((3, 1, 3), 100, dtype=torch.uint8)
    after = torch.tensor([100, 200, 50], dtype=torch.uint8).expand(3, 1, 3)
    shown = difference(before, after)
    assert shown[3, 0].tolist() == [0, 255, 128]
    assert tuple(shown[:3, 0, 1].tolist()) == BRIGHTER and tuple(shown[:3, 0, 2].tolist()) == DARKER
    assert on_white(shown)[:, 0, 0].tolist() == [255, 255, 255]
    assert int(difference(before, before)[3].max()) == 0
    faint = difference(before, before + 1)
    assert int(faint[3].max()) == 5  # 255 / 51: noise is not blown up


def test_a_sheet_has_a_row_an_attribute(tmp_path: Path) -> None:
    made = explanation(size=16)
    picture = sheet(made, LARGE)
    assert picture.shape == (3, 3 * (SIDE + 2) - 2, 12 * (SIDE + 2) - 2)
    examples = made.examples[LARGE][0].images[0]
    assert torch.equal(picture[:, :SIDE:4, :SIDE:4], examples[0])
    assert torch.equal(picture[:, :SIDE:4, 2 * (SIDE + 2) : 3 * SIDE + 4 : 4], examples[2])
    assert [path.name for path in write_sheets(tmp_path, made)] == ["class-0.png", "class-1.png"]
    with pytest.raises(DataError, match="no examples of 'c'"):
        sheet(explanation(classes=("a", "b", "c")), 2)


class Linear:
    """Images whose brightness is the first channel of the layer "a"."""

    def styles_of(self, joined: Tensor) -> dict[str, Tensor]:
        return {"a": joined, "b": joined + 1}

    def pictured_styles(self, styles: dict[str, Tensor]) -> Tensor:
        return styles["a"][:, :1, None, None].expand(-1, 1, 8, 8)


def moving() -> Tensor:
    attribute = SimpleNamespace(layer="a", channel=0)
    return frames(Linear(), attribute, torch.tensor([[0.0, 9.0], [-1.0, 9.0]]), torch.tensor(0.5), strengths(5, 2.0))  # type: ignore[arg-type]


def test_frames_go_from_nothing_towards_the_end_and_beyond() -> None:
    levels = [[128, 0], [159, 96], [191, 191], [223, 255], [255, 255]]
    assert moving()[:, :, 0, 0, 0].tolist() == levels


def test_animations_and_strips(tmp_path: Path) -> None:
    for name in ("a.gif", "a.webp"):
        write_strip(tmp_path / name, moving())
        with Image.open(tmp_path / name) as animation:
            assert animation.n_frames == 8 and animation.size == (2 * SIDE + 2, SIDE)  # type: ignore[attr-defined]
    write_strip(tmp_path / "a.png", moving())
    with Image.open(tmp_path / "a.png") as strip:
        assert strip.size == (5 * (SIDE + 2) - 2, 2 * (SIDE + 2) - 2)
        assert [strip.getpixel((i * (SIDE + 2), 0))[0] for i in range(5)] == [128, 159, 191, 223, 255]  # type: ignore[index]
