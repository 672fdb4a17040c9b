from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from genkit.core.usable_memory import usable_memory

ROOT = Path(__file__).parents[2]


def faked(root: Path, groups: str, limits: dict[str, str]) -> Path:
    """A `/` with these control groups."""
    for name, text in {"proc/self/cgroup": groups, **limits}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


@pytest.mark.parametrize(
    ("groups", "limits"),
    [
        ("0::/a/b\n", {"sys/fs/cgroup/a/b/memory.max": "max\n", "sys/fs/cgroup/a/memory.max": "1000\n"}),
        ("0::/a\n", {"sys/fs/cgroup/a/memory.max": "1000\n", "sys/fs/cgroup/memory.max": "2000\n"}),
        ("3:cpu,memory:/job\n", {"sys/fs/cgroup/memory/job/memory.limit_in_bytes": "1000\n"}),
        ("3:memory:/host/name\n0::/\n", {"sys/fs/cgroup/memory/memory.limit_in_bytes": "1000\n"}),
    ],
    ids=["of a parent", "the least", "version 1", "seen from a container"],
)
def test_the_least_limit_of_the_control_groups(tmp_path: Path, groups: str, limits: dict[str, str]) -> None:
    assert usable_memory(faked(tmp_path, groups, limits)) == 1000


def test_without_limits_it_is_the_machines(tmp_path: Path) -> None:
    v1 = {"sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n"}
    assert usable_memory(faked(tmp_path, "3:memory:/\n0::/a\nnonsense\n", v1)) == usable_memory(tmp_path / "nowhere")
    assert usable_memory(tmp_path / "nowhere") > 2**28


@pytest.mark.parametrize("limit", ["RLIMIT_AS", "RLIMIT_DATA"])
def test_the_limits_of_the_process_count_without_what_it_has(limit: str) -> None:
    if sys.platform != "linux":
        pytest.skip("other systems do not enforce these limits")
    code = (
        "import resource, sys\n"
        "from genkit.core.usable_memory import usable_memory\n"
        "pages = open('/proc/self/statm').read().split()\n"
        f"have = int(pages[{0 if limit == 'RLIMIT_AS' else 5}]) * resource.getpagesize()\n"
        f"resource.setrlimit(resource.{limit}, (have + 2**27, resource.RLIM_INFINITY))\n"
        "print(usable_memory())\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert 2**26 < int(done.stdout) <= 2**27
