"""Reuse of the memory that a step of training or sampling frees."""

from __future__ import annotations

import ctypes
from contextlib import suppress

TRIM, MMAP = -1, -3
"""mallopt's numbers of the two thresholds."""


def keep_memory() -> None:
    """Keeps freed memory for the next step, where the C library is glibc.

    By itself it hands large maps back to the kernel, which clears each page anew when the next step asks for it: a
    fifth of the time of sampling on a CPU. Blocks above 64 MiB still go back.
    """
    with suppress(OSError, AttributeError):  # other systems know no mallopt
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(TRIM, 2**31 - 1)
        mallopt(MMAP, 2**26) or mallopt(MMAP, 2**25)  # the most that older versions accept
