"""genkit beside other packages, on Fashion-MNIST or on somebody's own photographs.

    python -m benchmarks.peers quality [--minutes 2 8 30] [--seeds 0 1 2] [--only WORDS] [--photos FOLDER_OR_ZIP]
    python -m benchmarks.peers table   [--minutes 2 8 30] [--seeds 0 1 2] [--only WORDS] [--photos FOLDER_OR_ZIP]
    python -m benchmarks.peers shelf   [--seeds 0]
    python -m benchmarks.peers speed   [--rounds 3]

`quality` trains every arm of benchmarks/peers/settings.py for the same CPU minutes of this process (steps and their
batches; not the imports, checkpoints and scores) with one thread, and scores its samples against the test images by
fashion-mnist-classifier. With --photos it trains on these, at 32 pixels, genkit as `genkit new` plans it and the others
by their own defaults, and scores 500 samples against all of them by efficientnet-lite0. What was measured is kept in
--out; a training that was killed goes on, or begins anew where its length was planned by timing. Settings that know
nothing of the budget are trained once and scored on the way; others once a budget. `table` prints what there is;
`shelf` writes a bench file of 10,000 samples of each GAN and VAE after 30 minutes, for `genkit bench`, which judges
them as it does the shipped generators; `speed` times training steps of equal networks in turns.

The other packages are not among genkit's requirements. Put them beside it, in an environment of their own, since some
ask for much that is not needed here (tensorflow and aim are left out, as they are only for scores and logs):

    pip install denoising-diffusion-pytorch pythae && pip install --no-deps torch-mimicry stylegan2-pytorch
    pip install ema-pytorch contrastive_learner kornia fire retry vector-quantize-pytorch==0.1.0

One that is missing is skipped with a line that says so.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor

from benchmarks.peers.contestant import SIDE, Images
from benchmarks.peers.quality import Quality
from benchmarks.peers.settings import ARMS, FOR_PHOTOS
from benchmarks.peers.table import shelf, tables
from genkit.cli.memory import keep_memory
from genkit.core.catalog import build
from genkit.core.files import write_atomically
from genkit.evaluation import evaluate

CLOTHES, TEST = ({"type": "fashion_mnist", "split": split} for split in ("train", "test"))


def clothes() -> Images:
    return Images(built(CLOTHES).x, CLOTHES)


def photographs(place: Path) -> Images:
    return Images(built({"type": "folder", "path": str(place), "size": SIDE, "channels": 3}).x, place)


def built(spec: dict[str, Any]) -> Any:
    return build(spec, kind="data", where="data")


class Judge:
    """FD, precision and recall of samples beside images."""

    def __init__(self, against: Any, extractor: str):
        self.against, self.extractor = against, extractor

    def __call__(self, x: Tensor) -> dict[str, float]:
        found = evaluate(x, self.against, metrics=["fd", "pr"], n=len(x), extractor=self.extractor, progress=False)
        return {name: float(score.value) for name, score in found.scores.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["quality", "table", "shelf", "speed"])
    parser.add_argument("--minutes", nargs="+", type=float, default=[2, 8, 30])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--only", nargs="+", default=[], help="Arms whose name has one of these words.")
    parser.add_argument("--photos", type=Path, help="Train on these; at least 500.")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("runs/bench/peers"))
    given = parser.parse_args()
    torch.set_num_threads(1)
    keep_memory()
    arms = [
        arm
        for arm in (FOR_PHOTOS if given.photos else ARMS)
        if not given.only or any(word in arm.name for word in given.only)
    ]
    if given.what == "speed":
        from benchmarks.peers.speed import compare

        compare(given.rounds)
        return
    if given.what == "shelf":
        path = given.out / "shelf.yaml"
        write_atomically(path, yaml.safe_dump(shelf(given.out, arms, given.seeds[0]), sort_keys=False).encode())
        print(f"genkit bench {path} --out {given.out / 'shelf'}")
        return
    out = given.out / "photos" / given.photos.stem if given.photos else given.out
    if given.what == "quality":
        images = photographs(given.photos) if given.photos else clothes()
        judge = Judge(images.x, "efficientnet-lite0") if given.photos else Judge(TEST, "fashion-mnist-classifier")
        Quality(out, images, judge, lambda line: print(line, flush=True)).run(arms, given.minutes, given.seeds)
    print("\n".join(tables(out, arms, given.minutes, given.seeds)))


if __name__ == "__main__":
    main()
