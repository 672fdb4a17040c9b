"""Several processes of one command tell a failure in one line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from benchmarks.small_recipes import read, shrunk

LAUNCH = """
import subprocess, sys
from genkit.cli import launch
launch.GRACE_S = float(sys.argv.pop(1))
if child := sys.argv.pop(1):
    class Child(subprocess.Popen):
        def __init__(self, command, **given):
            super().__init__([sys.executable, "-c", child], **given)
    subprocess.Popen = Child
sys.exit(launch._run(launch.Launch(2, 2)))
"""

CHILD = """
import os, sys, time
from genkit.cli.main import _fail
rank = int(os.environ["RANK"])
if rank not in {failing}:
    time.sleep(60)
time.sleep({late} if rank == 0 else 0)
sys.exit(_fail("no such thing", 2))
"""


def launched(child: str, *arguments: str, grace: float = 8.0) -> tuple[int, list[str]]:
    command = [sys.executable, "-c", LAUNCH, str(grace), child, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    return done.returncode, [line for line in done.stderr.splitlines() if line.startswith("genkit")]


@pytest.mark.parametrize("late", [0, 4])
def test_what_all_processes_meet_is_told_once(late: int) -> None:
    """However much later the first one meets it."""
    assert launched(CHILD.format(failing=(0, 1), late=late)) == (2, ["genkit: no such thing"])


def test_what_another_process_meets_alone_is_told_by_it() -> None:
    told = launched(CHILD.format(failing=(1,), late=0), grace=0.5)
    assert told == (2, ["genkit: process 1: no such thing"])


CRASHING = """
import atexit, os, sys
from genkit.cli.main import main
atexit.register(os.abort)
sys.argv = ["genkit", "list", "recipes"]
sys.exit(main())
"""


def test_a_crash_on_the_way_out_is_no_loss_of_a_process() -> None:
    """torch's threads may be left at their work when all is written: `terminate called without an active exception`."""
    assert launched(CRASHING) == (0, [])


@pytest.mark.slow
def test_so_it_is_with_data_that_are_not_there(tmp_path: Path) -> None:
    tree = shrunk(read("digits/wgan_ratio_clipping"))
    tree["data"] = {"type": "folder", "path": "nope", "size": tree["data"].get("size", 28), "channels": 1}
    (tmp_path / "t.yaml").write_text(yaml.safe_dump(tree))
    code, lines = launched("", "train", str(tmp_path / "t.yaml"), "--out", str(tmp_path / "run"))
    assert code == 2 and len(lines) == 1 and lines[0].startswith("genkit: data.path: nope does not exist"), lines
