"""What a command costs before it does its work: CPU seconds, the median of several starts, the commands in turns.

    python -m benchmarks.startup [--starts 5]

Prints a Markdown table; the last column is what is paid beyond `import torch`.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile

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
    with tempfile.TemporaryDirectory() as folder:
        out = ["--out", f"{folder}/samples"] if "sample" in arguments else []
        process = subprocess.Popen(
            [sys.executable, *arguments, *out], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(arguments)}: exit code {process.returncode}")
    return used.ru_utime + used.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--starts", type=int, default=5)
    given = parser.parse_args()
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(given.starts):
        for name, arguments in COMMANDS.items():
            times[name].append(cpu_seconds(arguments))
    torch = statistics.median(times[TORCH])
    print("| command | median, CPU s | fastest | beyond `import torch` |\n|---|---|---|---|")
    for name, found in times.items():
        middle = statistics.median(found)
        print(f"| `{name}` | {middle:.2f} | {min(found):.2f} | {middle - torch:+.2f} |")


if __name__ == "__main__":
    main()
