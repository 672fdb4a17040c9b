"""Batches of images that were made ready one by one, each from a file of its own size."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor

BATCH = 2**30
"""Bytes of a batch of files at most, for extractors that take pictures of any size."""


class Prepared(NamedTuple):
    """One image after preparation, the shape (C, H, W) of its file, and its position among the files."""

    ready: Tensor
    shape: tuple[int, ...]
    position: int


def grouped(images: Iterable[Prepared], size: int) -> Iterator[Prepared]:
    """Batches of consecutive images whose files have one shape; the order stays.

    No batch goes beyond a multiple of `size` positions, so that those of a part of the files are those of all.
    """
    held: list[Prepared] = []
    for image in images:
        if held and not _goes_with(image, held, size):
            yield _stacked(held)
            held = []
        held.append(image)
    if held:
        yield _stacked(held)


def _goes_with(image: Prepared, held: list[Prepared], size: int) -> bool:
    alike = image.shape == held[0].shape and image.position // size == held[0].position // size
    return alike and (len(held) + 1) * image.ready.nbytes <= BATCH


def _stacked(held: list[Prepared]) -> Prepared:
    return Prepared(torch.stack([image.ready for image in held]), held[0].shape, held[0].position)
