"""Share of images whose decision flips: by the attributes found, in redrawn images and in the originals; by random
coordinates; by the probabilities alone."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from genkit.core.randomness import stable_seed
from genkit.explain.encoded import Encoded, Range, Step


def flipped(others: Encoded, range_: Range, steps: Sequence[Step], y: int, shift: float = 1.0) -> Tensor:
    """True, (n,), for each image not of class y that is after all of `steps` together."""
    index = others.outside(y)
    return others.after(index, range_.moved(others.flat[index], steps, shift)).argmax(1) == y


def sufficiency(others: Encoded, range_: Range, steps: Sequence[Step], y: int, shift: float = 1.0) -> list[float]:
    """Share of the images not of class y that the first 1, 2, ... of `steps` together turn into it.

    Args:
        others: other images than those searched, so that nothing was chosen for them.

    Returns:
        One share for each of `steps`; none where all images are of class y.
    """
    if not len(others.outside(y)):
        return []
    return [flipped(others, range_, steps[:k], y, shift).double().mean().item() for k in range(1, len(steps) + 1)]


@torch.no_grad()
def put_on(seen: Encoded, originals: Tensor, redrawn: Tensor, changed: Tensor) -> tuple[Tensor, Tensor]:
    """The originals with what was changed in the redrawn images added to them, and logits of these, on the CPU."""
    put = (originals + changed - redrawn).clamp(-1, 1)
    return put, seen.generator.logits(put.to(seen.device)).float().cpu()


@torch.no_grad()
def on_originals(others: Encoded, range_: Range, steps: Sequence[Step], y: int, shift: float = 1.0) -> float | None:
    """Share of the originals not of class y that become it when what all of `steps` change in the redrawn images is
    added to them; None where all images are of class y, redrawn or not."""
    index = others.outside(y)
    index = index[others.seen[index].argmax(1) != y]
    if not len(index):
        return None
    turned = list[Tensor]()
    for rows in index.split(others.batch):
        moved = range_.moved(others.flat[rows], steps, shift)
        _, logits = put_on(others, others.x[rows], others.images(rows), others.images(rows, moved))
        turned.append(logits.argmax(1) == y)
    return torch.cat(turned).double().mean().item()


def random_sufficiency(
    others: Encoded, range_: Range, most: int, y: int, shift: float = 1.0, draws: int = 5, seed: int = 0
) -> list[float]:
    """As `sufficiency`, of random coordinates and directions: the mean over `draws` draws for each image.

    Each image has its own: one draw for all of them tells how strong these ten happen to be, to several per cent.
    """
    index = others.outside(y)
    if not len(index):
        return []
    flat = others.flat[index]
    n, count = flat.shape
    turned = torch.zeros(min(most, count), dtype=torch.float64)
    for draw in range(draws):
        chosen, upwards = random_coordinates(n, count, most, seed, draw)
        for k in range(1, len(turned) + 1):
            moved = range_.moved_each(flat, chosen[:, :k], upwards[:, :k], shift)
            turned[k - 1] += (others.after(index, moved).argmax(1) == y).sum()
    return (turned / (draws * n)).tolist()


def random_coordinates(n: int, count: int, most: int, seed: int, draw: int) -> tuple[Tensor, Tensor]:
    """For each of n images `most` different ones of `count` coordinates, and whether each is raised: (n, most) both."""
    rng = torch.Generator().manual_seed(stable_seed(seed, "random coordinates", draw))
    chosen = torch.rand(n, count, generator=rng).argsort(1)[:, :most]
    return chosen, torch.rand(chosen.shape, generator=rng) < 0.5


@torch.no_grad()
def probabilities_alone(others: Encoded) -> dict[int, Tensor]:
    """For each class, (n,) of images that are not of it: whether their decision becomes that class when its probability
    and that of the image's own class change places among those appended to w, and nothing else."""
    found, generator = dict[int, Tensor](), others.generator
    for y in range(others.logits.shape[1]):
        if not len(outside := others.outside(y)):
            continue
        turned = list[Tensor]()
        for index in outside.split(others.batch):
            p, own = others.seen[index].softmax(1), others.logits[index].argmax(1)
            swapped, rows = p.clone(), torch.arange(len(p))
            swapped[rows, own], swapped[:, y] = p[:, y], p[rows, own]
            w = generator.encode(others.x[index].to(others.device))
            images = generator.pictured_styles(generator.styles_of(generator.joined(w, swapped.to(others.device))))
            turned.append(generator.logits(images).argmax(1).cpu() == y)
        found[y] = torch.cat(turned)
    return found
