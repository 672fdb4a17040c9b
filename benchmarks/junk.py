"""Does `genkit outliers` find noise among digits, and among somebody's few photographs?

    python -m benchmarks.junk [--seeds 0 1 2] [--share 0.01 0.05] [--photos FOLDER_OR_ZIP] [--steps N]

A share of the images is replaced by uniform noise, and they are ranked with all defaults, as by the command. It prints
the AUROC of the critic's score, how many of the first are noise, the iterations that were trained, whether the ranking
is trusted, and CPU seconds. What was measured is kept in --out.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import torch

from benchmarks.runs import kept
from genkit.cli import outlier_game, outliers
from genkit.core.catalog import build
from genkit.core.crew import ALONE


class Heard:
    """A display that keeps the last iteration."""

    steps = 0

    def advance(self, what: str, unit: str, done: int, total: int, detail: str = "") -> None:
        if what == "training":
            self.steps = done

    def note(self, line: str) -> None: ...


def measured(data: str, share: float, seed: int, steps: int | None) -> dict[str, Any]:
    spec = {"type": "outlier_mixture", "data": outliers._spec(data, None, None, False), "share": share, "seed": seed}
    items: Any = build(spec, kind="data", where="data")
    heard, started = Heard(), time.process_time()
    training = {"seed": seed} | ({"steps": steps} if steps else {})
    ranking = outlier_game.ranked(spec, items, outliers.SHARE, training, heard, ALONE)
    score, junk = ranking.score, items.outliers
    higher = (score[junk][:, None] > score[~junk][None]).double().mean()
    first = ranking.order[: int(junk.sum())]
    return {
        "auroc": float(higher),
        "found": int(junk[first].sum()),
        "junk": int(junk.sum()),
        "images": len(items),
        "size": items.sample_shape[-1],
        "steps": heard.steps,
        "trusted": not ranking.doubt,
        "cpu_s": time.process_time() - started,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--share", nargs="+", type=float, default=[0.01, 0.05])
    parser.add_argument("--photos", type=Path, help="Images of your own instead of digits.")
    parser.add_argument("--steps", type=int, help="Of one round; until planted noise comes first, if not said.")
    parser.add_argument("--out", type=Path, default=Path("runs/bench/junk"))
    given = parser.parse_args()
    torch.set_num_threads(1)
    data, name = (str(given.photos), given.photos.stem) if given.photos else ("digits", "digits")
    print("| images, share of noise, seed | AUROC | noise among the first | iterations | trusted | CPU s |")
    print("|---" * 6 + "|")
    for share in given.share:
        for seed in given.seeds:
            place = given.out / f"{name}-{share:g}-{given.steps or 'rounds'}-{seed}.json"
            row = kept(place, lambda share=share, seed=seed: measured(data, share, seed, given.steps))  # type: ignore[misc]
            what = f"{row['images']:,} {name} of {row['size']} pixels, {100 * share:g} %, {seed}"
            cells = f"{row['auroc']:.3f} | {row['found']} of {row['junk']} | {row['steps']:,}"
            print(f"| {what} | {cells} | {'yes' if row['trusted'] else 'no'} | {row['cpu_s']:.0f} |", flush=True)


if __name__ == "__main__":
    main()
