"""genkit beside other packages, on Fashion-MNIST.

    python -m benchmarks.peers quality [--minutes 2 8 30] [--seeds 0 1 2] [--only WORDS] [--out runs/bench/peers]
    python -m benchmarks.peers table   [--minutes 2 8 30] [--seeds 0 1 2]
    python -m benchmarks.peers speed   [--rounds 3]

`quality` trains every arm of benchmarks/peers/settings.py for the same CPU minutes of this process (steps and their
batches; not the imports, checkpoints and scores) with one thread, and scores its samples against the test images by
fashion-mnist-classifier. What was measured is kept in --out; a training that was killed goes on,
or begins anew where its length was planned by timing. Settings that know
nothing of the budget are trained once and scored on the way; others once a budget. `table` prints what there is;
`speed` times training steps of equal networks in turns.

The other packages are not among genkit's requirements. Put them beside it, in an environment of their own, since some
ask for much that is not needed here (tensorflow and aim are left out, as they are only for scores and logs):

    pip install denoising-diffusion-pytorch pythae && pip install --no-deps torch-mimicry stylegan2-pytorch
    pip install ema-pytorch contrastive_learner kornia fire retry vector-quantize-pytorch==0.1.0

One that is missing is skipped with a line that says so.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.peers.quality import Quality
from benchmarks.peers.settings import ARMS
from benchmarks.peers.table import tables
from genkit.cli.memory import keep_memory
from genkit.core.catalog import build
from genkit.evaluation import evaluate

TEST = {"type": "fashion_mnist", "split": "test"}


def score(x: Tensor) -> dict[str, float]:
    scores = evaluate(x, TEST, metrics=["fd", "pr"], n=len(x), extractor="fashion-mnist-classifier", progress=False)
    return {name: float(score.value) for name, score in scores.scores.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["quality", "table", "speed"])
    parser.add_argument("--minutes", nargs="+", type=float, default=[2, 8, 30])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--only", nargs="+", default=[], help="Arms whose name has one of these words.")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("runs/bench/peers"))
    given = parser.parse_args()
    torch.set_num_threads(1)
    keep_memory()
    arms = [arm for arm in ARMS if not given.only or any(word in arm.name for word in given.only)]
    if given.what == "speed":
        from benchmarks.peers.speed import compare

        compare(given.rounds)
        return
    if given.what == "quality":
        images = build({"type": "fashion_mnist", "split": "train"}, kind="data", where="data").x
        Quality(given.out, images, score, lambda line: print(line, flush=True)).run(arms, given.minutes, given.seeds)
    print("\n".join(tables(given.out, arms, given.minutes, given.seeds)))


if __name__ == "__main__":
    main()
