"""Files of an exported pipeline folder that genkit alone reads, so that importing it again loses nothing.

genkit.json: the generator's configuration, and hashes of the settings that diffusers reads; genkit.safetensors: rows of
the UNet's last convolution for a variance that diffusers does not sample.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor

from genkit.core.errors import WeightsError
from genkit.core.files import sha256_of_file, write_atomically
from genkit.foreign.authors_checkpoint import read_checkpoint

NOTE, VARIANCE = "genkit.json", "genkit.safetensors"
SETTINGS = ("unet/config.json", "scheduler/scheduler_config.json")


def write_note(folder: Path, generator: Mapping[str, Any], variance: dict[str, Tensor]) -> None:
    """Writes both files, the second one only if there are such rows.

    Args:
        folder: an exported pipeline, otherwise complete.
        generator: as `described`.
        variance: rows that were cut off the end of the UNet's tensors of these names.

    Raises:
        CheckpointError: it cannot be written.
    """
    files = {name: sha256_of_file(folder / name) for name in SETTINGS}
    note = {"generator": dict(generator), "files": files}
    write_atomically(folder / NOTE, (json.dumps(note, indent=2) + "\n").encode())
    if variance:
        write_atomically(folder / VARIANCE, save(variance))


def noted_generator(note: Mapping[str, Any], folder: Path) -> Mapping[str, Any]:
    """The generator's configuration in the note of `folder`.

    Raises:
        WeightsError: it has none, or the files that diffusers reads were changed after the export.
    """
    generator, files = note.get("generator"), note.get("files")
    if not isinstance(generator, dict) or not isinstance(files, dict):
        raise WeightsError(f"{folder / NOTE} is not as genkit writes it; delete it to import what diffusers would see")
    for name, digest in files.items():
        if name in SETTINGS and (not (folder / name).is_file() or sha256_of_file(folder / name) != digest):
            raise WeightsError(
                f"{folder / name} was changed after the export, {folder / NOTE} was not; "
                f"delete {NOTE} to import what diffusers would see"
            )
    return generator


def with_variance(state: Mapping[str, Tensor], folder: Path) -> dict[str, Tensor]:
    """The UNet's tensors with the rows that were cut off.

    Raises:
        WeightsError: the rows fit none of them.
    """
    rows = read_checkpoint(folder / VARIANCE) if (folder / VARIANCE).is_file() else {}
    for name, more in rows.items():
        if name not in state or state[name].shape[1:] != more.shape[1:]:
            raise WeightsError(f"{folder / VARIANCE}: {name} does not fit the UNet's")
    return {**state, **{name: torch.cat([state[name], more.to(state[name])]) for name, more in rows.items()}}
