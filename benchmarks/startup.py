"""Time that a command takes to start: the median of several starts.

python -m benchmarks.startup
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time

STARTS = 9
COMMANDS = {
    "genkit --help": ["--help"],
    "genkit list": ["list"],
    "genkit sample digits-wgan-ratio-clipping -n 1": ["sample", "digits-wgan-ratio-clipping", "-n", "1"],
}


def seconds(arguments: list[str]) -> float:
    """Wall seconds of one run of genkit from a cold interpreter."""
    with tempfile.TemporaryDirectory() as folder:
        out = ["--out", f"{folder}/samples"] if arguments[0] == "sample" else []
        start = time.perf_counter()
        subprocess.run([sys.executable, "-m", "genkit", *arguments, *out], check=True, capture_output=True)
        return time.perf_counter() - start


def main() -> None:
    print("| command | median, s | fastest, s |\n|---|---|---|")
    for name, arguments in COMMANDS.items():
        times = [seconds(arguments) for _ in range(STARTS)]
        print(f"| `{name}` | {statistics.median(times):.2f} | {min(times):.2f} |", flush=True)


if __name__ == "__main__":
    main()
