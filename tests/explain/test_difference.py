"""Differences, sheets and animations of an explanation."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from PIL import Image
from torch import Tensor

from genkit.core.errors import DataError
from genkit.explain.difference import BRIGHTER, DARKER, LEAST_FULL, difference, full_colour, on_white
from genkit.explain.sheet import sheet, write_sheets
from genkit.explain.sheet_layout import GAP, MARGIN, SMALLEST, SheetRow, laid_out
from genkit.explain.strip import frames, strengths, write_strip
from genkit.explain.words import percent
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
    assert full_colour(before, after) == pytest.approx(100 / 255)
    assert full_colour(before, before + 1) == LEAST_FULL == 0.2


def test_a_sheet_can_be_read_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    given = list[tuple[list[SheetRow], tuple[str, ...], list[tuple[str, str]]]]()
    monkeypatch.setattr("genkit.explain.sheet.laid_out", lambda *all_: given.append(all_))
    made = explanation(size=16)
    sheet(made, LARGE)
    sheet(explanation(size=16, reasons=("it is saturated",)), LARGE)
    (rows, heads, lines), (_, _, doubted) = given
    assert lines[0][0] == "What makes the classifier say “large”" and [row.head for row in rows] == ["1", "2", "3"]
    assert heads == ("original", "redrawn", "changed", "difference")
    assert rows[0].below[0] == ("", percent(float(made.examples[LARGE][0].before[0])), *rows[0].below[0][2:3], "")
    assert rows[0].below[0][2] == percent(float(made.examples[LARGE][0].after[0]))
    assert rows[0].examples[1][:3].equal(made.examples[LARGE][0].images[1])
    assert doubted[1][0].startswith("Not to be trusted") and "trusted" not in str(lines)
    assert "amplified" in lines[-1][0] and "20\xa0%" in lines[-1][0]


def test_a_sheet_has_room_for_pictures_and_words() -> None:
    examples = [torch.full((4, 3, 16, 16), shade, dtype=torch.uint8) for shade in (40, 90)]
    below = [("", "13 %", "67 %", "")] * 2
    rows = [SheetRow("1", examples, below), SheetRow("2", examples[:1], below[:1])]
    picture = laid_out(rows, ("a", "b", "c", "d"), [("heading " * 40, "black")])
    grey = picture[0]
    corners = (grey == 40).nonzero()
    y, x = corners[0].tolist()
    assert (grey[y : y + SIDE, x : x + SIDE] == 40).all() and (
        grey[y : y + SIDE, x + SIDE : x + SIDE + GAP] == 255
    ).all()
    second = x + 4 * (SIDE + GAP) - GAP + MARGIN
    assert (grey[y : y + SIDE, second : second + SIDE] == 90).all(), "an example further"
    words = grey[y + SIDE : y + SIDE + SMALLEST + GAP]
    step = SIDE + GAP
    inked = [bool((words[:, x + k * step : x + k * step + SIDE] < 128).any()) for k in range(4)]
    assert inked == [False, True, True, False]
    assert (grey[y : y + SIDE, :x] < 128).any(), "the number of the row"
    assert (grey[:y] < 128).any() and (grey[:, -MARGIN // 2 :] == 255).all(), "the heading is broken into lines"


def test_sheets_are_named_by_the_class(tmp_path: Path) -> None:
    made = explanation(size=16)
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
