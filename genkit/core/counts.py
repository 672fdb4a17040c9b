"""Whole numbers that are given: of Python, NumPy or torch, and large enough."""

from __future__ import annotations

import operator

from genkit.core.errors import GenkitError, shown


def count(what: str, n: object, least: int = 1, refusal: type[GenkitError] = GenkitError) -> int:
    """`n` as an int.

    Args:
        what: its name in a sentence, such as "number of samples".

    Raises:
        GenkitError: as `refusal`; no whole number, or below `least`.
    """
    try:
        found = operator.index(n)  # type: ignore[arg-type]
    except TypeError:
        found = least - 1
    if isinstance(n, bool) or found < least:
        raise refusal(f"the {what} must be a whole number of at least {least}, got {shown(n)}")
    return found


def checked_seed(seed: object, refusal: type[GenkitError] = GenkitError) -> int:
    """`seed` as an int; raises GenkitError, as `refusal`, for what is no whole number from 0 to 2^63 - 1."""
    found = count("seed", seed, 0, refusal)
    if found >= 2**63:
        raise refusal(f"a seed is below 2^63, got {shown(seed)}")
    return found
