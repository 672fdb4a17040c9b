"""Memory that this process may use: the least of the machine's, its container's and its own limits."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

UNKNOWN = 2**33
"""8 GiB, taken where the system does not say."""


def usable_memory(root: Path = Path("/")) -> int:
    """Bytes, at least 1.

    The least of the machine's memory, the limits of the control groups that the process is in (version 1 or 2), and
    the rest of the limits of its address space and data (`ulimit -v`, `ulimit -d`) beside its present use.

    Args:
        root: folder of `proc` and `sys`.
    """
    return max(1, min([_machine(), *_groups(root), *_own(root)]))


def _machine() -> int:
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # not on this system
        return UNKNOWN


def _groups(root: Path) -> Iterator[int]:
    """The memory limit of every control group from the process's own up to the topmost that is seen from here."""
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if not controllers:
            mount, name = root / "sys/fs/cgroup", "memory.max"
        elif "memory" in controllers.split(","):
            mount, name = root / "sys/fs/cgroup/memory", "memory.limit_in_bytes"
        else:
            continue
        inside = PurePosixPath(path.lstrip("/"))
        for folder in (inside, *inside.parents):  # the last of these is the mount itself
            limit = _text(mount / folder / name).strip()
            if limit.isdecimal():
                yield int(limit)


def _own(root: Path) -> Iterator[int]:
    page, used = os.sysconf("SC_PAGE_SIZE"), _text(root / "proc/self/statm").split()
    for kind, field in ((resource.RLIMIT_AS, 0), (resource.RLIMIT_DATA, 5)):
        limit, _ = resource.getrlimit(kind)
        if limit != resource.RLIM_INFINITY:
            yield limit - (int(used[field]) * page if len(used) > field else 0)


def _text(path: Path) -> str:
    """Empty where there is no such file."""
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
