"""A safetensors file written in one pass: each piece goes to the disk and into the hash while it is in the cache."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TypedDict

import torch
from torch import Tensor

KINDS = {
    torch.float64: "F64", torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16", torch.complex64: "C64",
    torch.int64: "I64", torch.int32: "I32", torch.int16: "I16", torch.int8: "I8", torch.uint8: "U8",
    torch.uint16: "U16", torch.uint32: "U32", torch.uint64: "U64", torch.bool: "BOOL",
}  # fmt: skip
"""The format's names."""

PIECE = 2**22
"""Bytes that are hashed and written at a time."""


class Listed(TypedDict):
    """A file's line of the manifest."""

    bytes: int
    sha256: str


def write_file(path: Path, content: Mapping[str, Tensor] | bytes) -> Listed:
    """Tensors, as a safetensors file, or plain bytes; on the disk when this returns."""
    digest, size = hashlib.sha256(), 0
    with open(path, "wb") as file:
        for piece in [content] if isinstance(content, bytes) else _pieces(content):
            digest.update(piece)
            size += file.write(piece)
        file.flush()
        os.fsync(file.fileno())
    return {"bytes": size, "sha256": digest.hexdigest()}


def _pieces(tensors: Mapping[str, Tensor]) -> Iterator[bytes | memoryview]:
    """The bytes of a file: the largest numbers first, so that all are aligned."""
    ordered = dict(sorted(tensors.items(), key=lambda named: (-named[1].itemsize, named[0])))
    header, end = {}, 0
    for name, tensor in ordered.items():
        begin, end = end, end + tensor.nbytes
        header[name] = {"dtype": KINDS[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [begin, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    yield len(text).to_bytes(8, "little") + text
    for tensor in ordered.values():
        content = tensor.detach().cpu().reshape(-1).view(torch.uint8).numpy().data
        for begin in range(0, len(content), PIECE):
            yield content[begin : begin + PIECE]
