"""Data sets that torchvision downloads: MNIST, Fashion-MNIST, CIFAR-10, CelebA.

They are looked for under `root`, else $GENKIT_DATA, else ~/.cache/genkit/data, and downloaded there when missing.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from einops import rearrange
from pydantic import Field
from torch import Tensor

from genkit.core.errors import DataError, first_line, suggest
from genkit.core.progress import Progress
from genkit.data.dataset import DataSet
from genkit.data.storage import data_root, decode_files, in_size
from genkit.images.image_files import ImageFiles

Split = Literal["train", "test", "all"]
DataSize = Annotated[int, Field(ge=1, le=1024)]
Colours = Literal[1, 3]

RAW = "train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte, t10k-labels-idx1-ubyte"
FASHION = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")


def mnist(
    split: Split = "train",
    root: Path | None = None,
    size: DataSize = 28,
    channels: Colours = 1,
    labels: bool = True,
) -> DataSet:
    """Handwritten digits (LeCun et al. 1998): 60,000 to train, 10,000 to test, 28 x 28 grey, 10 classes.

    Args:
        split: part of the set.
        root: folder that holds MNIST/raw.
        size: resized, not padded, by an antialiased bicubic filter.
        channels: 3 replicates the grey.
        labels: False leaves them out.

    Raises:
        DataError: not there and not to be downloaded.
    """
    x, y = _parts("MNIST", split, root, f"MNIST/raw with {RAW}")
    return _made(f"mnist/{split}", x, y if labels else None, tuple(str(d) for d in range(10)), size, channels)


def fashion_mnist(
    split: Split = "train",
    root: Path | None = None,
    size: DataSize = 28,
    channels: Colours = 1,
    labels: bool = True,
) -> DataSet:
    """Clothes (Xiao et al. 2017): 60,000 to train, 10,000 to test, 28 x 28 grey, 10 classes. Arguments as `mnist`."""
    x, y = _parts("FashionMNIST", split, root, f"FashionMNIST/raw with {RAW}")
    return _made(f"fashion_mnist/{split}", x, y if labels else None, FASHION, size, channels)


def cifar10(
    split: Split = "train",
    root: Path | None = None,
    size: DataSize = 32,
    channels: Colours = 3,
    labels: bool = True,
) -> DataSet:
    """Small photographs (Krizhevsky 2009): 50,000 to train, 10,000 to test, 32 x 32 colour, 10 classes.

    Arguments as `mnist`; channels=1 takes the luminance. A zip of CIFAR-10 as files is read by `folder`.
    """
    x, y = _parts("CIFAR10", split, root, "cifar-10-batches-py (the unpacked cifar-10-python.tar.gz)")
    names = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
    return _made(f"cifar10/{split}", x, y if labels else None, names, size, channels)


def _made(name: str, x: Tensor, labels: Tensor | None, classes: tuple[str, ...], size: int, channels: int) -> DataSet:
    return DataSet(name, in_size(x, size, channels, name), labels, () if labels is None else classes)


def _parts(kind: str, split: str, root: Path | None, layout: str) -> tuple[Tensor, Tensor]:
    """(N, C, H, W) uint8 and (N,) int64 of the asked part; "all" is train followed by test."""
    wanted = {"train": [True], "test": [False], "all": [True, False]}.get(split)
    if wanted is None:
        raise DataError(f"{kind}: no split {split!r}{suggest(split, ('train', 'test', 'all'))}")
    sets = [_found_or_downloaded(kind, data_root(root), layout, train=train) for train in wanted]
    images = torch.cat([torch.as_tensor(s.data) for s in sets])
    grey = images.dim() == 3
    x = rearrange(images, "n h w -> n 1 h w") if grey else rearrange(images, "n h w c -> n c h w").contiguous()
    return x, torch.cat([torch.as_tensor(s.targets) for s in sets]).long()


def _found_or_downloaded(kind: str, root: Path, layout: str, **which: Any) -> Any:
    from torchvision import datasets

    make = getattr(datasets, kind)
    try:
        return make(root, download=False, **which)
    except RuntimeError:  # how torchvision says that it is not there
        pass
    except Exception as damage:
        raise DataError(
            f"{kind} in {root} is damaged ({first_line(damage)}); delete it, or expected: {layout}"
        ) from damage
    try:
        with redirect_stdout(sys.stderr):  # torchvision prints
            return make(root, download=True, **which)
    except Exception as failure:  # network, disk, a changed address, a broken archive
        raise DataError(
            f"{kind} is not in {root} and cannot be downloaded ({first_line(failure)}); put {layout} there, "
            "or name another folder by root or GENKIT_DATA"
        ) from failure


CELEBA_SPLITS = {"train": ("0",), "valid": ("1",), "test": ("2",), "all": ("0", "1", "2")}
CELEBA_LAYOUT = "celeba/ with img_align_celeba/*.jpg, list_eval_partition.txt and list_attr_celeba.txt"


def celeba(
    split: Literal["train", "valid", "test", "all"] = "train",
    root: Path | None = None,
    size: DataSize = 64,
    channels: Colours = 3,
    attribute: str | None = None,
    *,
    progress: Progress | None = None,
) -> DataSet:
    """202,599 aligned faces (Liu et al. 2015), 178 x 218, cut to the middle 178 x 178 and reduced to `size`.

    Args:
        split: 162,770 train, 19,867 valid, 19,962 test.
        root: folder that holds celeba/.
        size: at most 178.
        channels: 1 takes the luminance.
        attribute: one of the 40, such as Smiling; becomes the label, 0 without and 1 with it. None: no labels.
        progress: called with (done, total) while decoding.

    Raises:
        DataError: not there and not to be downloaded, or an unknown attribute.
    """
    if split not in CELEBA_SPLITS:
        raise DataError(f"CelebA: no split {split!r}{suggest(split, CELEBA_SPLITS)}")
    base = data_root(root) / "celeba"
    if not os.path.isdir(base / "img_align_celeba"):
        _found_or_downloaded("CelebA", data_root(root), CELEBA_LAYOUT)
    parts = dict(line.split()[:2] for line in _lines(base / "list_eval_partition.txt"))
    names = sorted(name for name, part in parts.items() if part in CELEBA_SPLITS[split])
    labels = None if attribute is None else _attribute(base / "list_attr_celeba.txt", attribute, names)
    pixels = decode_files(ImageFiles(base / "img_align_celeba").select(names), size, channels, progress=progress)
    classes = () if attribute is None else (f"not {attribute}", attribute)
    return DataSet(f"celeba/{split}", pixels.x, labels, classes, pixels.report, mapped=pixels.mapped)


def _attribute(path: Path, attribute: str, names: Sequence[str]) -> Tensor:
    """0 or 1 for every name. The file: a count, the attributes' names, then a name and 40 values of -1 or 1 a line."""
    _, header, *rows = _lines(path)
    columns = header.split()
    if attribute not in columns:
        raise DataError(f"CelebA: no attribute {attribute!r}{suggest(attribute, columns)}")
    at = columns.index(attribute) + 1
    values = {row.split(maxsplit=1)[0]: row.split()[at] for row in rows}
    return torch.tensor([int(values[name] == "1") for name in names])


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as failure:
        raise DataError(f"{path} cannot be read ({failure}); expected: {CELEBA_LAYOUT}") from failure
