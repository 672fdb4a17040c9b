"""Shipped weights sample the same images, byte for byte, as by the commit that shipped them.

    python -m benchmarks.same_samples [NAME ...] [-n 4]

Of each folder of weights/ that makes samples: the commit that last changed its tensors is checked out beside, and
both sources run the same `genkit sample` with one seed. Needs the history of the repository. Prints a Markdown row
each; exit code 1 if one differs.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

HERE = Path(__file__).resolve().parent.parent
CONDITIONS = {"fashion-mnist-upsampler": ("low_res", (14, 14))}
"""Generators that need an image, the condition's name and the image's size."""


def shipped_by(name: str) -> str:
    log = ["git", "-C", str(HERE), "log", "-1", "--format=%h", "--", f"weights/{name}/model.safetensors"]
    return subprocess.run(log, check=True, capture_output=True, text=True).stdout.strip()


def checkout(commit: str, root: Path) -> Path:
    source = root / commit
    if not source.exists():
        add = ["git", "-C", str(HERE), "worktree", "add", "--detach", "--force", str(source), commit]
        subprocess.run(add, check=True, capture_output=True)
    return source


def samples(source: Path, name: str, n: int, root: Path, out: Path) -> list[bytes]:
    """The PNG files that `source` makes, in order."""
    command = [sys.executable, "-m", "genkit", "sample", name, "-n", str(n), "--seed", "0", "--out", str(out)]
    if name in CONDITIONS:
        condition, size = CONDITIONS[name]
        picture = root / f"{condition}.png"
        Image.new("L", size, 90).save(picture)
        command += ["--condition", f"{condition}={picture}"]
    environment = {**os.environ, "PYTHONPATH": str(source), "OMP_NUM_THREADS": "1"}
    subprocess.run(command, cwd=source, env=environment, check=True, capture_output=True)
    return [path.read_bytes() for path in sorted(out.glob("*.png"))]


def compared(name: str, n: int, root: Path) -> bool:
    commit = shipped_by(name)
    then = samples(checkout(commit, root), name, n, root, root / f"{name}-then")
    now = samples(HERE, name, n, root, root / f"{name}-now")
    assert len(then) == n, f"{name}: {len(then)} images of {n}"
    print(f"| {name} | {commit} | {'the same bytes' if now == then else 'DIFFERENT'} |", flush=True)
    return now == then


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("-n", type=int, default=4)
    given = parser.parse_args()
    shipped = [path.parent.name for path in sorted((HERE / "weights").glob("*/model.safetensors"))]
    names = given.names or [name for name in shipped if not name.endswith("classifier")]
    print("| weights | shipped by | now |\n|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        equal = [compared(name, given.n, Path(folder)) for name in names]
    subprocess.run(["git", "-C", str(HERE), "worktree", "prune"], check=True)
    raise SystemExit(0 if all(equal) else 1)


if __name__ == "__main__":
    main()
