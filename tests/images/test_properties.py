from __future__ import annotations

import pytest
import torch
from torch import Tensor

from genkit.images.hue import coloured
from genkit.images.properties import change, properties
from genkit.images.property_changes import IN_WORDS, PixelJudge, Properties


def box(top: int, left: int, height: int, width: int, value: float = 1.0, side: int = 32) -> Tensor:
    """(1, 1, side, side) in [-1, 1]: a box on black."""
    x = torch.full((1, 1, side, side), -1.0)
    x[..., top : top + height, left : left + width] = value
    return x


def read(x: Tensor) -> dict[str, float]:
    return {name: value.item() for name, value in properties(x).items()}


def test_of_a_box() -> None:
    found = read(box(8, 12, 16, 8))
    assert found["brightness"] == pytest.approx(16 * 8 / 1024)
    assert found["area"] == pytest.approx(16 * 8 / 1024)
    assert found["aspect"] == pytest.approx(((16**2 - 1) / (8**2 - 1)) ** 0.5, rel=1e-4)
    assert found["across"] == pytest.approx(0, abs=1e-5) and found["down"] == pytest.approx(0, abs=1e-5)
    assert "hue" not in found


@pytest.mark.parametrize(
    ("moved", "name", "up"),
    [
        (box(8, 16, 16, 8), "across", True),
        (box(2, 12, 16, 8), "down", False),
        (box(8, 12, 20, 8), "aspect", True),
        (box(6, 10, 20, 12), "area", True),
        (box(8, 12, 16, 8, value=0.5), "brightness", False),
    ],
)
def test_each_follows_its_own_change(moved: Tensor, name: str, up: bool) -> None:
    before, after = read(box(8, 12, 16, 8)), read(moved)
    assert (after[name] > before[name] + 0.01) if up else (after[name] < before[name] - 0.01)


def test_a_dimmer_box_and_a_box_on_white_are_as_large() -> None:
    whole = read(box(8, 12, 16, 8))
    for x in (box(8, 12, 16, 8, value=0.2), -box(8, 12, 16, 8)):
        found = read(x)
        assert all(found[name] == pytest.approx(whole[name], abs=1e-4) for name in ("area", "aspect", "across", "down"))


def test_colours() -> None:
    for hue in (0.1, 0.5, 0.9):
        mask = (box(8, 8, 16, 16) + 1) / 2
        x = 2 * mask * coloured(torch.tensor([hue])).view(1, 3, 1, 1) - 1
        found = read(x)
        assert found["hue"] == pytest.approx(hue, abs=1e-3) and 0.1 < found["saturation"] < 0.3


def test_a_hue_goes_the_shorter_way() -> None:
    apart = change("hue", torch.tensor([0.9, 0.1]), torch.tensor([0.1, 0.9]))
    torch.testing.assert_close(apart, torch.tensor([0.2, -0.2]))
    assert change("area", torch.tensor(0.9), torch.tensor(0.1)).item() == pytest.approx(-0.8)


def test_an_even_image_has_numbers() -> None:
    assert all(value == value for value in read(torch.zeros(1, 3, 8, 8)).values())


def test_what_hardly_varies_is_told_in_what_an_eye_sees() -> None:
    boxes = torch.full((8, 1, 32, 32), -1.0)
    for k in range(8):
        boxes[k, :, 8:24, 8 + k : 24 + k] = 1.0
    taller = boxes.clone()
    taller[:, :, 24, :] = taller[:, :, 23, :]
    made = Properties(PixelJudge(boxes), boxes)
    changed = made.changes(made.read(boxes), made.read(taller))
    assert (changed[IN_WORDS["aspect"]] - 0.0625 / 0.1).abs().max() < 0.05, (
        "all boxes are squares: no spread to tell it by"
    )
    assert changed[IN_WORDS["across"]].abs().max() < 0.01 and made.units[IN_WORDS["across"]] > 0.1


def test_grey_images_in_three_channels_have_no_hue() -> None:
    grey = torch.rand(6, 1, 16, 16, generator=torch.Generator().manual_seed(0)).mul(2).sub(1).repeat(1, 3, 1, 1)
    traces = (grey + torch.tensor([0.003, 0.0, -0.003])[:, None, None]).clamp(-1, 1)
    assert not {"hue", "saturation"} & set(PixelJudge(traces).conditions)
    made = Properties(PixelJudge(grey), grey)
    assert set(made.changes(made.read(grey), made.read(traces))) == set(made.columns) > {"brightness"}
    coloured = grey.clone()
    coloured[0, 0] = 1.0
    assert {"hue", "saturation"} <= set(PixelJudge(coloured).conditions), "one of colour is enough"
