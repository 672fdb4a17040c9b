"""Seeds as a pure function of names and numbers."""

from __future__ import annotations

from hashlib import sha256


def stable_seed(*parts: int | str) -> int:
    """A 63-bit seed that depends on `parts` alone, on any machine and in any process."""
    return int.from_bytes(sha256("/".join(map(str, parts)).encode()).digest()[:8], "little") >> 1
