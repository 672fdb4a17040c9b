"""Pictures of benchmarks.exemplar_vae: samples, variations, ways, cycles and learning curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from genkit.core.catalog import build
from genkit.images.grid import grid
from genkit.images.pixels import write_png
from genkit.training.log import read_metrics
from genkit.training.run_folder import RunFolder
from genkit.vae.vae import VAE
from genkit.vae.variations import between, cycle, variations

SAMPLES, VARIATIONS, COLUMNS = 50, 9, 10
TURNS = (0, 1, 2, 3, 5, 8, 12, 17, 23, 30)


def rng() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def draw(models: Mapping[str, Mapping[str, VAE]], out: Path) -> None:
    """<data>-vae-samples.png (a block a prior) and <data>-exemplar-vae.png (variations, ways, cycles)."""
    for data, by_prior in models.items():
        blocks = [grid(vae.sample(SAMPLES, rng=rng()), COLUMNS) for vae in by_prior.values()]
        write_png(out / f"{data}-vae-samples.png", beneath(blocks))
        write_png(out / f"{data}-exemplar-vae.png", by_example(by_prior["exemplar"], data))


def beneath(blocks: list[Tensor], gap: int = 10) -> Tensor:
    """Pictures (C, H, W) of one width, one below the other on white."""
    white = torch.full((blocks[0].shape[0], gap, blocks[0].shape[2]), 255, dtype=torch.uint8)
    return torch.cat([part for block in blocks for part in (block, white)][:-1], dim=1)


def by_example(vae: VAE, data: str) -> Tensor:
    """Test images with their variations; ways between them; a cycle from noise."""
    test = build({"type": data, "split": "test"}, kind="data")
    references = test.rows(torch.stack([(test.labels == c).nonzero()[0, 0] for c in range(10)]))
    rows = [torch.cat([image[None], variations(vae, image, VARIATIONS, rng())]) for image in references[:6]]
    ways = [between(vae, references[i], references[i + 1], COLUMNS) for i in (0, 2, 4, 6)]
    cycles = cycle(vae, 3, TURNS[-1], rng())[list(TURNS)].transpose(0, 1)
    return beneath(
        [grid(torch.cat(rows), COLUMNS), grid(torch.cat(ways), COLUMNS), grid(cycles.flatten(0, 1), COLUMNS)]
    )


def curves(runs: Path, data: Sequence[str], arms: Mapping[str, str], out: Path) -> None:
    """exemplar-vae-curves.png: the bound in training."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(1, len(data), figsize=(5 * len(data), 3.4), squeeze=False)
    for axis, name in zip(axes[0], data, strict=True):
        for colour, (arm, title) in zip(("#777777", "#1f77b4", "#d62728"), arms.items(), strict=True):
            rows = [r for r in read_metrics(RunFolder(runs / f"{name}-{arm}").metrics) if r["step"] >= 500]
            axis.plot(
                [r["step"] / 600 for r in rows], [r["vae/bound"] for r in rows], color=colour, lw=0.9, label=title
            )
        axis.set(title=f"{name}: ELBO of training batches", xlabel="epoch", ylabel="nats")
        axis.legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(out / "exemplar-vae-curves.png", dpi=110)
