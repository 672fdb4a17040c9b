"""Reads the tensors in a checkpoint file, without running any code that it may carry."""

from __future__ import annotations

import pickle
import warnings
from argparse import Namespace
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from genkit.core.errors import WeightsError, first_line


def read_checkpoint(path: str | Path, part: str | None = None) -> dict[str, Tensor]:
    """The state dict in a file, tensors on the CPU.

    Args:
        path: a safetensors file, or one that `torch.save` wrote of tensors in plain containers.
        part: dotted place of the state dict (`state_dict`, `netG`, `model.ema`); needed only if there are several.

    Raises:
        WeightsError: no file, a damaged one, one whose pickle holds more than tensors, no state dict, or several;
            sparse or quantized tensors, or such without content.
    """
    path = Path(path)
    if not path.is_file():
        raise WeightsError(f"{path} is {'a folder' if path.is_dir() else 'missing'}; give a checkpoint file")
    state = _choose(path, dict(_state_dicts(_read(path))), part)
    for name, tensor in state.items():
        if tensor.layout != torch.strided or tensor.is_quantized or tensor.is_meta:
            raise WeightsError(f"{path}: {name} is sparse, quantized, or without content; save plain dense tensors")
    return state


def _read(path: Path) -> Any:
    try:
        with open(path, "rb") as file:
            head = file.read(9)
    except OSError as failure:
        raise WeightsError(f"cannot read {path}: {failure.strerror}") from failure
    if head[8:] == b"{":  # a safetensors file: eight bytes of length, then JSON
        return _read_safetensors(path)
    return _read_torch(path)


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except (SafetensorError, OSError) as damage:
        raise WeightsError(f"{path} is a damaged safetensors file ({damage})") from damage


def _read_torch(path: Path) -> Any:
    try:
        # Many training scripts keep their arguments beside the tensors: a Namespace, which holds names and values.
        with warnings.catch_warnings(), torch.serialization.safe_globals([Namespace]):
            warnings.filterwarnings("ignore", "Detected pickle protocol|Validating sparse tensor", UserWarning)
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as refusal:
        raise WeightsError(
            f"{path} is refused: its pickle holds more than tensors and could run code; where you trust it, save "
            "'module.state_dict()' with the authors' code and import that"
        ) from refusal
    except Exception as damage:  # torch reports damage in a dozen unrelated types
        told = isinstance(damage, (RuntimeError, ValueError, OSError))  # of the others the message says nothing
        reason = first_line(damage) if told else "it is damaged, or of another kind"
        raise WeightsError(
            f"{path} is no checkpoint that can be read ({reason}); give a safetensors file, or one of torch.save"
        ) from damage


def _state_dicts(found: Any, place: str = "") -> Iterator[tuple[str, dict[str, Tensor]]]:
    """Every mapping of names to tensors inside, with its dotted place."""
    if not isinstance(found, Mapping) or not all(isinstance(name, str) for name in found):
        return
    if found and all(isinstance(value, Tensor) for value in found.values()):
        yield place, dict(found)
        return
    for name, value in found.items():
        yield from _state_dicts(value, f"{place}.{name}" if place else name)


def _choose(path: Path, found: dict[str, dict[str, Tensor]], part: str | None) -> dict[str, Tensor]:
    places = ", ".join(sorted(place or "the whole file" for place in found))
    if not found:
        raise WeightsError(f"{path} holds no state dict (a mapping of names to tensors)")
    if part is not None and part not in found:
        raise WeightsError(f"{path} has no state dict at {part!r}; found: {places}")
    if part is None and len(found) > 1:
        raise WeightsError(f"{path} holds several state dicts; name one as the part: {places}")
    return found[part] if part is not None else next(iter(found.values()))
