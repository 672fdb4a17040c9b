"""The chain of map sizes between an image and the smallest map of a network."""

from __future__ import annotations

from genkit.core.errors import RecipeError

SMALLEST, LARGEST = 8, 256


def halved(size: int) -> list[int]:
    """`size` halved, rounding up, until it is 4, 5 or 6: 28 -> [28, 14, 7, 4], 64 -> [64, 32, 16, 8, 4].

    Raises:
        RecipeError: a size outside 8 to 256.
    """
    if not SMALLEST <= size <= LARGEST:
        raise RecipeError(f"size: images of {SMALLEST} to {LARGEST} pixels are accepted, got {size}")
    chain = [size]
    while chain[-1] > 6:
        chain.append(-(-chain[-1] // 2))
    return chain


def doublings(size: int) -> tuple[int, int]:
    """(b, k) with size = b * 2**k and b of 4 to 7: 28 -> (7, 2), 32 -> (4, 3), 48 -> (6, 3).

    Raises:
        RecipeError: a size that is no such product.
    """
    base, times = size, 0
    while base > 7 and base % 2 == 0:
        base, times = base // 2, times + 1
    if not (4 <= base <= 7 and times >= 1 and size <= LARGEST):
        near = min(_doubled_sizes(), key=lambda accepted: abs(accepted - size))
        accepted = ", ".join(map(str, _doubled_sizes()))
        raise RecipeError(f"size: {size} is not 4, 5, 6 or 7 times a power of two; nearest {near}, accepted {accepted}")
    return base, times


def _doubled_sizes() -> list[int]:
    return sorted(b * 2**k for b in (4, 5, 6, 7) for k in range(1, 7) if b * 2**k <= LARGEST)
