"""Every shipped recipe at full size on a GPU: speed, memory, waits, and whether one seed gives the same weights twice.

    python -m benchmarks.gpu train [--out runs/bench/gpu] [--only cifar10/ddpm ...] [--modes plain bf16] [--jobs 1]
    python -m benchmarks.gpu sample

`train` steps the networks of every recipe on random pixels of its shape, twice from the same start, each case in a
process of its own. Modes are `plain` (the recipe as it stands), `free` (also algorithms that sum in any order),
`bf16` and `compile`. A wait is a call that stops Python until the GPU is done, counted over one iteration. `sample`
draws from every shipped weights folder on CPU and GPU. What is finished is kept in gpu.json. Prints Markdown tables.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch

from benchmarks.small_recipes import read, shrunk
from genkit.core.catalog import build
from genkit.data.dataset import DataSet
from genkit.training.engine import accelerator_of
from genkit.training.preparation import prepare
from genkit.training.recipe import Recipe
from genkit.training.recipe_file import shipped_recipes

ITERATIONS, SECONDS, SAME = 20, 3.0, 3
PIXELS_IN_FLIGHT = 32 * 64 * 64
"""Batches of larger images are cut to this, since their recipes are meant for many GPUs."""
MODES = {
    "plain": [],
    "free": ["train.deterministic=false"],
    "bf16": ["train.precision=bf16"],
    "compile": ["train.compile=true"],
}


def random_data(shape: tuple[int, ...], classes: int, n: int = 256) -> DataSet:
    rng = torch.Generator().manual_seed(0)
    x = torch.randint(256, (n, *shape), generator=rng, dtype=torch.uint8)
    return DataSet("random", x, torch.arange(n) % classes, tuple(f"c{i}" for i in range(classes)))


def recipe_of(name: str, mode: str) -> Recipe:
    recipe = Recipe.load(name, [*MODES[mode], "train.trackers=[]"])
    product = recipe.build_system().product
    shape: tuple[int, ...] = tuple(product.sample_shape)
    size = shape[-1] if len(shape) == 3 else 1
    batch = max(8, min(recipe.train.batch_size, PIXELS_IN_FLIGHT // size**2))
    recipe = Recipe.load(name, [*MODES[mode], "train.trackers=[]", f"train.batch_size={batch}", "evaluate=null"])
    if recipe.data["type"] == "domains":
        stand_in = build(shrunk(read(name))["data"], kind="data", where="data")
        object.__setattr__(recipe, "build_data", lambda: stand_in)
    elif len(shape) == 3:
        label = (getattr(product, "conditions", None) or {}).get("label")
        classes = label.classes if label else getattr(product, "classes", 10)
        object.__setattr__(recipe, "build_data", lambda: random_data(shape, classes))
    return recipe


def measured(name: str, mode: str) -> dict[str, Any]:
    """One recipe in one mode, in this process."""
    recipe = recipe_of(name, mode)
    accelerator = accelerator_of(recipe)
    device = accelerator.device
    ends = []
    for _ in range(2):
        _, trainer = prepare(recipe, accelerator)
        losses = [trainer.iterate() for _ in range(SAME)]
        ends.append({k: v.detach().clone() for k, v in trainer.system.state_dict().items()})
    spread = max(float((a.double() - ends[1][k].double()).abs().max()) for k, a in ends[0].items() if a.numel())
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        trainer.iterate()
        torch.cuda.set_sync_debug_mode("default")
    waits = [f"{Path(w.filename).name}:{w.lineno}" for w in caught if "synchroniz" in str(w.message)]
    torch.cuda.reset_peak_memory_stats(device)
    times: list[float] = []
    begun = time.monotonic()
    while len(times) < ITERATIONS and time.monotonic() - begun < SECONDS:
        torch.cuda.synchronize()
        start = time.perf_counter()
        trainer.iterate()
        torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    return {
        "ms": statistics.median(times) * 1000, "batch": recipe.train.batch_size, "spread": spread,
        "GiB": torch.cuda.max_memory_allocated(device) / 2**30, "waits": waits,
        "losses": {k: round(float(v), 5) for k, v in losses[-1].items()},
    }  # fmt: skip


def in_a_process(name: str, mode: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.gpu", "one", name, mode]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        return {"failed": done.stderr.strip().splitlines()[-1][:300] if done.stderr.strip() else str(done.returncode)}
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def sampled() -> None:
    """Shipped weights on CPU and GPU: difference of the images, and the time of 64."""
    from genkit import Generator
    from genkit.core.catalog import shipped

    print("| weights | largest difference | in a batch of another size | 64 images on the GPU, s |\n|---|---|---|---|")
    for name in sorted(p.name for p in shipped("weights").iterdir() if (p / "config.json").is_file()):
        generator = Generator.from_pretrained(name)
        if not hasattr(generator, "sample"):
            continue
        here = generator.sample(8, rng=torch.Generator().manual_seed(0))
        generator.to("cuda")
        there = generator.sample(64, rng=torch.Generator().manual_seed(0))
        few = generator.sample(8, rng=torch.Generator().manual_seed(0))
        start = time.perf_counter()
        generator.sample(64, rng=torch.Generator().manual_seed(0)).cpu()
        seconds = time.perf_counter() - start
        apart = float((few.cpu() - here).abs().max())
        print(f"| {name} | {apart:.2g} | {float((there[:8] - few).abs().max()):.2g} | {seconds:.2f} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["train", "sample", "one"])
    parser.add_argument("case", nargs="*", help="of `one`: a recipe and a mode")
    parser.add_argument("--out", type=Path, default=Path("runs/bench/gpu"))
    parser.add_argument("--only", nargs="+", default=None)
    parser.add_argument("--modes", nargs="+", choices=list(MODES), default=["plain"])
    parser.add_argument("--jobs", type=int, default=1, help="cases at a time; times are right with 1 alone")
    given = parser.parse_args()
    if given.what == "one":
        print(json.dumps(measured(*given.case)))
        return
    if given.what == "sample":
        sampled()
        return
    kept = given.out / "gpu.json"
    found: dict[str, Any] = json.loads(kept.read_text()) if kept.is_file() else {}
    names = given.only or [n for n in shipped_recipes() if not n.startswith("visda/") and "stages" not in read(n)]
    cases = [(name, mode) for name in names for mode in given.modes if f"{name} {mode}" not in found]
    given.out.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(given.jobs) as pool:
        for (name, mode), row in zip(cases, pool.map(lambda case: in_a_process(*case), cases), strict=True):
            found[f"{name} {mode}"] = row
            kept.write_text(json.dumps(found, indent=1))
    print("| recipe, mode | batch | ms an iteration | GiB | waits | same weights twice |\n|---|---|---|---|---|---|")
    for case, row in found.items():
        if "failed" in row:
            print(f"| {case} | failed: {row['failed']} |")
            continue
        same = "yes" if row["spread"] == 0 else f"apart by {row['spread']:.1e}"
        print(f"| {case} | {row['batch']} | {row['ms']:.1f} | {row['GiB']:.2f} | {len(row['waits'])} | {same} |")


if __name__ == "__main__":
    main()
