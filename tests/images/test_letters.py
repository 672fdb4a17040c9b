"""Names of classes in any letters, on pictures."""

import warnings
from pathlib import Path

import pytest
import torch
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen

from genkit.core.errors import MissingLetters
from genkit.images import letters
from genkit.images.grid import labelled_png
from genkit.images.letters import font


def font_file(path: Path, known: str) -> Path:
    """A font whose letters are bars, each higher than the one before."""
    builder = FontBuilder(1000)
    names = [".notdef", *(f"letter{k}" for k in range(len(known)))]
    builder.setupGlyphOrder(names)
    builder.setupCharacterMap({ord(letter): names[1 + k] for k, letter in enumerate(known)})
    glyphs = {}
    for k, name in enumerate(names):
        pen = TTGlyphPen(None)
        for n, point in enumerate([(0, 0), (0, 100 + 200 * k), (400, 100 + 200 * k), (400, 0)]):
            pen.lineTo(point) if n else pen.moveTo(point)
        pen.closePath()
        glyphs[name] = pen.glyph()
    builder.setupGlyf(glyphs)
    builder.setupHorizontalMetrics(dict.fromkeys(names, (500, 0)))
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable({"familyName": path.stem, "styleName": "Regular"})
    builder.setupOS2()
    builder.setupPost()
    builder.save(path)
    return path


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """DejaVu Sans and two fonts of a machine."""
    first = next(letters._files())
    own = [font_file(tmp_path / "a.ttf", "犬"), font_file(tmp_path / "b.ttf", "犬猫")]
    monkeypatch.setattr(letters, "_files", lambda: iter([first, *own]))
    letters._file_with.cache_clear()
    yield first, *own
    letters._file_with.cache_clear()


@pytest.mark.parametrize("word", ["Käfer", "кошка", "β-Zelle", "Straße", "niño"])
def test_letters_of_europe_are_drawn_without_any_font_of_the_machine(word, monkeypatch):
    first = next(letters._files())
    monkeypatch.setattr(letters, "_files", lambda: iter([first]))
    letters._file_with.cache_clear()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert font([word], 12).getname()[0] == "DejaVu Sans"
    letters._file_with.cache_clear()


def test_the_first_font_with_all_letters_is_taken(machine):
    assert font(["犬", "猫 犬"], 12).path == machine[2]
    assert font(["犬"], 12).path == machine[1]
    assert font(["dog"], 12).path == machine[0]


def test_letters_that_no_font_has_are_told(machine):
    with pytest.warns(MissingLetters, match="has ก, drawn as boxes; install one"):
        assert font(["猫ก"], 12).path == machine[2]


def test_a_font_of_boxes_is_no_help():
    assert not any("LastResort" in path.name for path in letters._files())


def test_heads_of_a_grid_have_their_letters(machine):
    images = torch.zeros(2, 3, 64, 64)
    assert labelled_png(images, ["猫", "犬"]) != labelled_png(images, ["犬", "犬"])
