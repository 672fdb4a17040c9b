"""Images one by one -> batches of what can be stacked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch

from genkit.images.image_files import Prepared

BATCH = 2**30
"""Bytes of a batch of files at most, for extractors that take pictures of any size."""


def grouped(images: Iterable[Prepared], size: int) -> Iterator[Prepared]:
    """Consecutive images whose files are of one shape as batches, so that the order stays."""
    held: list[Prepared] = []
    for image in images:
        if held and (image.shape != held[0].shape or len(held) == size or _bytes(held) + image.ready.nbytes > BATCH):
            yield _stacked(held)
            held = []
        held.append(image)
    if held:
        yield _stacked(held)


def _stacked(held: list[Prepared]) -> Prepared:
    return Prepared(torch.stack([image.ready for image in held]), held[0].shape)


def _bytes(held: list[Prepared]) -> int:
    return len(held) * held[0].ready.nbytes
