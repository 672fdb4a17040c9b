from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

from genkit.core.arrays import header, read_npy, read_npz

MOST = {"mu": 8, "sigma": 64}


def test_headers() -> None:
    file = io.BytesIO()
    np.save(file, np.zeros((2, 3), np.float32))
    assert header(io.BytesIO(file.getvalue())) == ((2, 3), np.dtype(np.float32))
    with pytest.raises(ValueError, match="magic"):
        header(io.BytesIO(b"no array at all"))


def test_what_is_asked_for_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, mu=np.arange(3.0), other=np.zeros(10**5))
    found = read_npz(path, MOST)
    assert found.keys() == {"mu"} and found["mu"].tolist() == [0, 1, 2]


def test_zeros_that_unpack_to_gigabytes_are_refused_by_the_headers(tmp_path: Path) -> None:
    path = tmp_path / "bomb.npz"
    np.savez_compressed(path, mu=np.zeros(8), sigma=np.zeros(10**7))
    assert path.stat().st_size < 10**5
    with pytest.raises(ValueError, match=r"bytes that unpack to 80,000,320"):
        read_npz(path, MOST)


@pytest.mark.parametrize("shape", ["(9,)", "(10000000000,)", "(3,)"])
def test_a_header_that_promises_too_much(shape: str, tmp_path: Path) -> None:
    """More values than wanted; more than any memory; more than follow."""
    path, text = tmp_path / "b.npz", f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}"
    content = b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode() + bytes(16)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("mu.npy", content)
    with pytest.raises(ValueError, match=r"mu of shape .* has more than 8 values or is cut short"):
        read_npz(path, MOST)
    (tmp_path / "b.npy").write_bytes(content)
    with pytest.raises(ValueError, match=r"b.npy of shape .* has more than 8 values or is cut short"):
        read_npy(tmp_path / "b.npy", 8)


def test_an_array_of_its_own(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.arange(6.0).reshape(2, 3))
    assert read_npy(tmp_path / "a.npy", 6).tolist() == [[0, 1, 2], [3, 4, 5]]
