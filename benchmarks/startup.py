"""What a command costs before it does its work: CPU seconds, the median of several starts, the commands in turns.

    python -m benchmarks.startup [--starts 5]
    python -m benchmarks.startup --grids [NAME ...] [--starts 3]

Prints a Markdown table; the last column is what is paid beyond `import torch`. With `--grids` it is the first grid of
64 samples of every shipped generator, by `genkit sample NAME -n 64 --grid`, with the settings in its config.json.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

from genkit.core.catalog import find, shipped
from genkit.core.documents import read_json
from genkit.core.generator import Generator
from genkit.data.digits import digits
from genkit.images.pixels import png_bytes, to_uint8

TORCH = "import torch"
COMMANDS = {
    TORCH: ["-c", "import torch"],
    "genkit --help": ["-m", "genkit", "--help"],
    "genkit list": ["-m", "genkit", "list"],
    "genkit sample digits-wgan-ratio-clipping -n 1": [
        "-m",
        "genkit",
        "sample",
        "digits-wgan-ratio-clipping",
        "-n",
        "1",
    ],
    "genkit sample fashion-mnist-ddpm -n 1 --steps 2": [
        "-m",
        "genkit",
        "sample",
        "fashion-mnist-ddpm",
        "-n",
        "1",
        "--steps",
        "2",
    ],
    "genkit train digits/wgan_ratio_clipping --dry-run": [
        "-m",
        "genkit",
        "train",
        "digits/wgan_ratio_clipping",
        "--dry-run",
    ],
    "genkit train fashion_mnist/ddpm --dry-run": ["-m", "genkit", "train", "fashion_mnist/ddpm", "--dry-run"],
}


def cpu_seconds(arguments: list[str]) -> float:
    """User and system time of one run of Python from a cold interpreter, its children included."""
    return started(arguments)[1]


def started(arguments: list[str]) -> tuple[float, float]:
    """Wall and CPU seconds of one run of Python from a cold interpreter, its children included."""
    begun = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        out = ["--out", f"{folder}/samples"] if "sample" in arguments else []
        process = subprocess.Popen(
            [sys.executable, *arguments, *out], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(arguments)}: exit code {process.returncode}")
    return time.perf_counter() - begun, used.ru_utime + used.ru_stime


def generators() -> list[str]:
    """Names of the shipped weights that can be sampled."""
    found = sorted(shipped("weights").glob("*/config.json"))
    return [p.parent.name for p in found if issubclass(find(read_json(p)["type"]), Generator)]


def grids(names: list[str], starts: int) -> None:
    """A row for each of `names`: seconds until its first grid lies on the disk."""
    print("| weights | first grid, wall s, median | slowest | CPU s, median |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        small = Path(folder) / "small.png"
        small.write_bytes(png_bytes(to_uint8(digits("test", 14).rows(torch.arange(1)))[0]))
        given = {"fashion-mnist-upsampler": ["--condition", f"low_res={small}"]}
        for name in names:
            words = ["-m", "genkit", "sample", name, "-n", "64", "--grid", *given.get(name, [])]
            wall, cpu = zip(*(started(words) for _ in range(starts)), strict=True)
            print(
                f"| {name} | {statistics.median(wall):.1f} | {max(wall):.1f} | {statistics.median(cpu):.1f} |",
                flush=True,
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--starts", type=int, default=5)
    parser.add_argument("--grids", nargs="*", metavar="NAME", help="time grids of these weights; all without a name")
    given = parser.parse_args()
    if given.grids is not None:
        grids(given.grids or generators(), given.starts)
        return
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(given.starts):
        for name, arguments in COMMANDS.items():
            times[name].append(cpu_seconds(arguments))
    paid = statistics.median(times[TORCH])
    print("| command | median, CPU s | fastest | beyond `import torch` |\n|---|---|---|---|")
    for name, found in times.items():
        middle = statistics.median(found)
        print(f"| `{name}` | {middle:.2f} | {min(found):.2f} | {middle - paid:+.2f} |")


if __name__ == "__main__":
    main()
