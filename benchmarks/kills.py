"""SIGKILL at random moments of every shipped recipe, through the command line: are the final weights the same?

    python -m benchmarks.kills [--kills 200] [--out runs/bench/kills] [--seed 0] [--processes 1 2] [--jobs 1]

Every recipe is made small by `benchmarks.small_recipes` and trained for a few iterations: once undisturbed, and again
killed until it has had its share of kills, on one process (`genkit train`) and on two (`accelerate launch`, whose whole
group is killed). A kill comes after a random share of the time that the undisturbed run took from its first line to its
last. What is finished is kept in kills.json. Prints a Markdown table.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import Any

import yaml

from benchmarks.run_contents import contents
from benchmarks.small_recipes import read, shrunk
from genkit.training.recipe_file import shipped_recipes

ROOT = Path(__file__).parents[1]
STEPS, CHECKPOINT = 30, 5
LAUNCH = ["-m", "accelerate.commands.launch", "--num_processes", "2", "--num_machines", "1", "--cpu"]
LAUNCH += ["--mixed_precision", "no", "--dynamo_backend", "no"]


def command(recipe: Path, out: Path, processes: int) -> list[str]:
    launch = LAUNCH if processes == 2 else []
    return [sys.executable, *launch, "-m", "genkit", "train", str(recipe), "--out", str(out), "--resume"]


def start(recipe: Path, out: Path, processes: int) -> subprocess.Popen[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    return subprocess.Popen(
        command(recipe, out, processes), env=environment, text=True, start_new_session=True, cwd=ROOT,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip


def undisturbed(recipe: Path, out: Path, processes: int) -> tuple[float, float]:
    """Seconds from the start to the first line, and from there to the end."""
    begun = time.monotonic()
    run = start(recipe, out, processes)
    assert run.stdout
    lines = [run.stdout.readline()]
    first = time.monotonic()
    lines += run.stdout.readlines()
    if run.wait():
        raise SystemExit(f"{recipe} failed on {processes} processes:\n{''.join(lines)}")
    return first - begun, time.monotonic() - first


def kill(recipe: Path, out: Path, processes: int, after: float) -> str:
    """Starts and kills: 'killed', or 'finished' where it was quicker."""
    run = start(recipe, out, processes)
    assert run.stdout
    run.stdout.readline()
    time.sleep(after)
    ended = run.poll()
    with suppress(ProcessLookupError):  # it has ended by itself
        os.killpg(run.pid, signal.SIGKILL)
    rest = run.stdout.read()
    run.wait()
    if ended:
        raise SystemExit(f"{recipe} ended with {ended} before it was killed:\n{rest}")
    return "killed" if ended is None else "finished"


def tried(name: str, processes: int, kills: int, folder: Path, rng: random.Random) -> dict[str, Any]:
    """One recipe: numbers of kills and of whole restarts, and whether all is equal in the end."""
    place = folder / name.replace("/", "-") / str(processes)
    place.mkdir(parents=True, exist_ok=True)
    recipe = place / "recipe.yaml"
    recipe.write_text(yaml.safe_dump(shrunk(read(name), STEPS, CHECKPOINT), sort_keys=False), encoding="utf-8")
    _, seconds = undisturbed(recipe, place / "straight", processes)
    done, runs = 0, 0
    while done < kills:
        out = place / f"killed-{runs}"
        while kill(recipe, out, processes, rng.uniform(0, seconds)) == "killed":
            done += 1
            if done == kills:
                break
        runs += 1
        undisturbed(recipe, out, processes)
        if contents(out) != contents(place / "straight"):
            return {"kills": done, "runs": runs, "equal": False}
    return {"kills": done, "runs": runs, "equal": True}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--out", type=Path, default=Path("runs/bench/kills"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2], help="do those alone")
    parser.add_argument("--jobs", type=int, default=1, help="recipes at a time")
    given, keeping = parser.parse_args(), Lock()
    names, kept = shipped_recipes(), given.out / "kills.json"
    found: dict[str, Any] = json.loads(kept.read_text()) if kept.is_file() else {}
    cases = [(name, processes) for processes in (1, 2) for name in names]
    share = {case: (i + 1) * given.kills // len(cases) - i * given.kills // len(cases) for i, case in enumerate(cases)}
    left = [(n, p) for n, p in cases if p in given.processes and f"{n} on {p}" not in found]
    given.out.mkdir(parents=True, exist_ok=True)

    def one(case: tuple[str, int]) -> None:
        name, processes = case
        key = f"{name} on {processes}"
        row = tried(name, processes, share[case], given.out / str(time.time_ns()), random.Random(f"{given.seed} {key}"))
        with keeping:
            found[key] = row
            kept.write_text(json.dumps(found, indent=1))

    with ThreadPoolExecutor(given.jobs) as pool:
        list(pool.map(one, left))
    print("| processes | recipes | kills | runs | weights, averages and log equal |\n|---|---|---|---|---|")
    for processes in given.processes:
        rows = [row for key, row in found.items() if key.endswith(f" on {processes}")]
        kills, runs = (sum(row[what] for row in rows) for what in ("kills", "runs"))
        print(f"| {processes} | {len(rows)} | {kills} | {runs} | {sum(row['equal'] for row in rows)} of {len(rows)} |")


if __name__ == "__main__":
    main()
