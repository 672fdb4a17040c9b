from __future__ import annotations

import pytest
import torch

from genkit.core.errors import GenkitError
from genkit.explain.coordinates import StyleCoordinates
from genkit.explain.encoded import Range, Step


def test_numbers_places_and_styles() -> None:
    styles = {"b4.conv1": torch.randn(2, 3), "b4.torgb": torch.randn(2, 3), "b8.conv0": torch.randn(2, 2)}
    found = StyleCoordinates.of(styles, ["b4.conv1", "b8.conv0"])
    assert found.count == 5 and [found.place(s) for s in (0, 2, 3, 4)] == [
        ("b4.conv1", 0), ("b4.conv1", 2), ("b8.conv0", 0), ("b8.conv0", 1),
    ]  # fmt: skip
    assert all(found.number(*found.place(s)) == s for s in range(5))
    flat = found.flat(styles)
    assert flat[:, 3].equal(styles["b8.conv0"][:, 0])
    put = found.put(styles, flat + 1)
    assert put["b8.conv0"].equal(styles["b8.conv0"] + 1) and put["b4.torgb"] is styles["b4.torgb"]
    with pytest.raises(GenkitError, match="coordinates 0 to 4, got 5"):
        found.place(5)
    with pytest.raises(GenkitError, match=r"no layer 'b8.conv9' has a style; did you mean"):
        StyleCoordinates.of(styles, ["b8.conv9"])


def test_steps_go_a_share_of_the_way_and_the_first_of_a_coordinate_counts() -> None:
    flat = torch.tensor([[0.0, 1.0], [4.0, 3.0]])
    steps = [Step(1, 0), Step(0, 0)]
    moved = Range.of(flat).moved(flat, steps, 0.5)
    assert moved.equal(torch.tensor([[2.0, 1.0], [4.0, 3.0]]))
