"""NumPy files, checked by their headers before any memory is allocated."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

INFLATION = 100
"""Largest factor by which an archive may unpack; real numbers hardly shrink at all."""

TEXT = 2**20
"""Most bytes of a text."""


def header(file: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Shape and dtype of the .npy file that starts here.

    Raises:
        ValueError: it is none.
    """
    version = npy.read_magic(file)
    readers = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
    if version not in readers:
        raise ValueError(f"version {version[0]}.{version[1]} of the format is not read")
    shape, _, dtype = readers[version](file)
    return shape, dtype


def read_npy(path: Path, most: int) -> NDArray[Any]:
    """The array of an .npy file, of at most so many values.

    Raises:
        ValueError, OSError: damaged, of Python objects, or too large.
    """
    with open(path, "rb") as file:
        shape, dtype = header(file)
        _check(path.name, shape, dtype, path.stat().st_size - file.tell(), most)
    array: NDArray[Any] = np.load(path, allow_pickle=False)
    return array


def _check(name: str, shape: tuple[int, ...], dtype: np.dtype[Any], left: int, most: int) -> None:
    """Raises ValueError for an array of more than `most` values, or than the `left` bytes behind its header hold."""
    size = math.prod(shape) * dtype.itemsize
    if math.prod(shape) > most or size > left or size > 8 * most + TEXT:
        raise ValueError(f"{name} of shape {shape} has more than {most:,} values or is cut short")


def read_npz(path: Path, most: Mapping[str, int]) -> dict[str, NDArray[Any]]:
    """The arrays of an .npz file that `most` names and that are there, each with at most so many values.

    Raises:
        ValueError, OSError, zipfile.BadZipFile: damaged, of Python objects, too large, or blown up from very little.
    """
    with zipfile.ZipFile(path) as archive:
        members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
        wanted = {name: members[name] for name in most if name in members}
        unpacked, packed = sum(info.file_size for info in wanted.values()), path.stat().st_size
        if unpacked > INFLATION * packed:
            raise ValueError(f"{packed:,} bytes that unpack to {unpacked:,}")
        for name, info in wanted.items():
            with archive.open(info) as file:
                shape, dtype = header(file)
                _check(name, shape, dtype, info.file_size - file.tell(), most[name])
    with np.load(path, allow_pickle=False) as arrays:
        return {name: arrays[name] for name in wanted}
