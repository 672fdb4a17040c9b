from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from genkit.training import tensor_file
from genkit.training.tensor_file import KINDS, write_file


@pytest.mark.parametrize("piece", [3, 2**22])
def test_every_kind_of_number_comes_back_and_the_hash_is_the_files(
    piece: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tensor_file, "PIECE", piece)
    numbers = torch.arange(7, dtype=torch.uint8)
    tensors = {str(kind): numbers.to(kind) for kind in KINDS}
    tensors |= {"none": torch.empty(0, 3), "one": torch.tensor(2.5), "turned": torch.randn(3, 4).t()}
    tensors["last"] = torch.randn(2, 5, 3, 3).to(memory_format=torch.channels_last)
    path = tmp_path / "all.safetensors"
    listed = write_file(path, tensors)
    content, found = path.read_bytes(), load_file(path)
    assert listed == {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    assert found.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert found[name].dtype == tensor.dtype and found[name].equal(tensor)


def test_plain_bytes(tmp_path: Path) -> None:
    assert write_file(tmp_path / "state", b"abc") == {"bytes": 3, "sha256": hashlib.sha256(b"abc").hexdigest()}
    assert (tmp_path / "state").read_bytes() == b"abc"
