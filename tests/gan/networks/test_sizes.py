from __future__ import annotations

import pytest

from genkit.core.errors import RecipeError
from genkit.gan.networks.dcgan import halved
from genkit.gan.networks.resnet_gan import doublings


def test_halved():
    assert halved(28) == [28, 14, 7, 4]
    assert halved(48) == [48, 24, 12, 6]
    assert halved(64) == [64, 32, 16, 8, 4]
    for size in range(8, 257):
        assert halved(size)[-1] in (4, 5, 6)
    for size in (7, 257):
        with pytest.raises(RecipeError, match="8 to 256"):
            halved(size)


def test_doublings():
    assert doublings(28) == (7, 2) and doublings(32) == (4, 3) and doublings(48) == (6, 3) and doublings(64) == (4, 4)
    for size in range(257):
        try:
            base, times = doublings(size)
        except RecipeError:
            continue
        assert base * 2**times == size and 4 <= base <= 7 and times >= 1
    for size in (0, 4, 7, 9, 30, 512):
        with pytest.raises(RecipeError, match="nearest"):
            doublings(size)
