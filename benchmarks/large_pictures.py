"""Peak memory of `genkit stats` on a folder of large pictures, beside what holding them all at once would take.

python -m benchmarks.large_pictures [--count 40] [--sides 256 4000 8000]
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

GIB = 2**30


def draw(folder: Path, side: int, count: int) -> None:
    """`count` JPEG files of side x side, each another slope of grey with some structure."""
    across = np.arange(side)
    for i in range(count):
        pixels = ((across[:, None] * (i + 1) + across[None] * 2) // 16 % 256).astype(np.uint8)
        Image.fromarray(np.repeat(pixels[..., None], 3, 2)).save(folder / f"{i:04}.jpg", quality=90)


def peak(folder: Path) -> tuple[float, float]:
    """Resident bytes at most, and wall seconds, of one run from a cold interpreter."""
    arguments = ["stats", str(folder), "--extractor", "mnist-classifier", "--out", str(folder.parent / "stats.npz")]
    start = time.perf_counter()
    run = subprocess.Popen([sys.executable, "-m", "genkit", *arguments], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(run.pid, 0)
    if status:
        raise SystemExit(f"genkit stats ended with {os.waitstatus_to_exitcode(status)}")
    return usage.ru_maxrss * 1024, time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=40)
    parser.add_argument("--sides", type=int, nargs="+", default=[256, 4000, 8000])
    given = parser.parse_args()
    print("| pictures | all at once, GiB | peak, GiB | seconds |\n|---|---|---|---|")
    for side in given.sides:
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary) / "pictures"
            folder.mkdir()
            draw(folder, side, given.count)
            most, seconds = peak(folder)
        held = given.count * 3 * side**2 / GIB
        print(f"| {given.count} of {side}x{side} | {held:.2f} | {most / GIB:.2f} | {seconds:.0f} |", flush=True)


if __name__ == "__main__":
    main()
