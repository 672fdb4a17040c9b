"""StackedMNIST: three digits as the colours of one image, so that there are 1,000 modes to count."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import torch
from pydantic import Field

from genkit.data.dataset import DataSet
from genkit.data.torchvision_sets import DataSize, Split, mnist

DIGITS = 10


def stacked_mnist(
    split: Split = "train",
    n: Annotated[int, Field(ge=1, le=10**6)] = 60_000,
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0,
    root: Path | None = None,
    size: DataSize = 28,
    labels: bool = True,
) -> DataSet:
    """Three random digits of MNIST as red, green and blue: 1,000 classes, 000 to 999. Metz et al. 2017, Sec. 3.3.1.

    Args:
        split: of MNIST, whose images are drawn with replacement.
        n: images.
        seed: of the draw; the images are a function of it.
        root, size: as of `mnist`.
        labels: False leaves them out.

    Raises:
        DataError: MNIST is not there and not to be downloaded.
    """
    digits = mnist(split, root, size)
    assert digits.labels is not None
    chosen = torch.randint(len(digits), (n, 3), generator=torch.Generator().manual_seed(seed))
    x = digits.x[chosen.flatten()].view(n, 3, size, size)
    number = digits.labels[chosen] @ torch.tensor([DIGITS**2, DIGITS, 1])
    names = tuple(f"{k:03d}" for k in range(DIGITS**3)) if labels else ()
    return DataSet(f"stacked_mnist/{split}", x, number if labels else None, names)
