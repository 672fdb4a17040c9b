"""Checkpoints that survive kills, full disks and bit rot.

`checkpoints/step-00001234/` holds system.safetensors, ema.safetensors, optimizers.safetensors, state.json, one
process-<rank>.safetensors for buffers that differ per process, and manifest.json with the size and sha256 of each file.
It is written under a temporary name, synced, and renamed, so that a folder without `.tmp` is complete; one that is
written again is moved aside until the new one is in its place. No pickle.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from accelerate.utils import gather_object
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor

from genkit.core.documents import Unreadable, read_json
from genkit.core.errors import CheckpointError, shown
from genkit.core.files import sha256_of_file, sync_folder
from genkit.core.tensors import load_into
from genkit.training.trainer import Trainer

MANIFEST = "manifest.json"
FILES = {"system.safetensors", "ema.safetensors", "optimizers.safetensors", "state.json"}
"""Files of every checkpoint; process-<rank>.safetensors only where there is state of that kind."""
STATE = {"step", "position", "processes", "optimizers"}


def publish(temporary: Path, final: Path) -> None:
    """Gives a folder that is complete its name, in place of one that has it."""
    sync_folder(temporary)
    aside = final.with_name(f".{final.name}.old")
    if final.exists():
        shutil.rmtree(aside, ignore_errors=True)
        os.rename(final, aside)
    os.rename(temporary, final)
    sync_folder(final.parent)
    shutil.rmtree(aside, ignore_errors=True)


def first_non_finite(state: dict[str, Tensor], processes: int = 1) -> str:
    """The name of a tensor that is not finite, in all processes if the state of one has it; "" where there is none."""
    floats = {name: value for name, value in state.items() if value.is_floating_point() and value.numel()}
    sound = [torch.stack(value.aminmax()).isfinite().all() for value in floats.values()]
    finite = torch.stack(sound).tolist() if sound else []
    bad = [name for name, well in zip(floats, finite, strict=True) if not well]
    found = gather_object([bad[:1]]) if processes > 1 else [bad]
    return next((name for names in found for name in names), "")


def load_checkpoint(trainer: Trainer, folder: Path) -> dict[str, Any]:
    """Puts the state in `folder` back into `trainer`; returns the content of state.json.

    Raises:
        CheckpointError: a file is missing, changed or does not fit.
    """
    verify(folder)
    state = _state(folder)
    device = trainer.accelerator.device
    local = folder / f"process-{trainer.accelerator.process_index}.safetensors"
    processes = trainer.accelerator.num_processes
    if trainer.system.local_state and state["processes"] != processes:
        raise CheckpointError(f"{folder} is of {state['processes']} processes, and this run has {processes}")
    try:
        system = _unpacked(folder / "system.safetensors") | (_unpacked(local) if local.is_file() else {})
        load_into(trainer.system, system)
        load_into(trainer.ema.module, _unpacked(folder / "ema.safetensors"))
        optimizers = _rebuilt(_unpacked(folder / "optimizers.safetensors"), state["optimizers"])
        for name, optimizer in trainer.optimizers.items():
            optimizer.load_state_dict(optimizers[name])
            _lay_out(optimizer)
        trainer.loss_scale.load_state_dict(state.get("loss_scale", {}))
    except (RuntimeError, KeyError, ValueError) as misfit:
        reason = str(misfit).splitlines()[0]
        raise CheckpointError(f"{folder} does not fit this recipe: {reason}") from misfit
    trainer.system.to(device)
    trainer.go_to(state["step"], state["position"])
    return state


def _lay_out(optimizer: torch.optim.Optimizer) -> None:
    """Gives loaded moments the memory layout of their parameter, in whose order of memory a fused step walks both."""
    for parameter, state in optimizer.state.items():
        for name, value in state.items():
            if isinstance(value, Tensor) and value.shape == parameter.shape:
                state[name] = torch.empty_like(parameter, dtype=value.dtype).copy_(value)


def verify(folder: Path) -> None:
    """Raises CheckpointError unless every file is there with its size and hash, and every weight is finite."""
    for name, (size, digest) in _manifest(folder).items():
        path = folder / name
        if not path.is_file():
            raise CheckpointError(f"{folder.name}/{name} is missing")
        if path.stat().st_size != size:
            raise CheckpointError(f"{folder.name}/{name} has {path.stat().st_size} bytes instead of {size}")
        if sha256_of_file(path) != digest:
            raise CheckpointError(f"{folder.name}/{name} has changed since it was written (sha256 differs)")
    _state(folder)
    for name in ("system.safetensors", "ema.safetensors"):
        if bad := first_non_finite(_unpacked(folder / name)):
            raise CheckpointError(f"{folder.name}/{name}: {bad} holds numbers that are not finite")


def _manifest(folder: Path) -> dict[str, tuple[int, str]]:
    try:
        read = read_json(folder / MANIFEST)
        manifest = {str(name): (int(entry["bytes"]), str(entry["sha256"])) for name, entry in read.items()}
    except (ValueError, AttributeError, TypeError, LookupError, OverflowError) as damage:
        raise CheckpointError(f"{folder.name} has no readable {MANIFEST}") from damage
    if not manifest.keys() >= FILES:
        raise CheckpointError(f"{folder.name}/{MANIFEST} does not list {sorted(FILES - manifest.keys())[0]}")
    if strange := [name for name in manifest if Path(name).name != name or not name.isprintable()]:
        raise CheckpointError(f"{folder.name}/{MANIFEST} lists {shown(strange[0])}, which is no file of a checkpoint")
    return manifest


def _state(folder: Path) -> dict[str, Any]:
    try:
        state = read_json(folder / "state.json")
    except Unreadable as damage:
        raise CheckpointError(f"{folder.name}/state.json cannot be read ({damage})") from damage
    if not isinstance(state, dict) or not state.keys() >= STATE:
        raise CheckpointError(f"{folder.name}/state.json lacks entries that a run needs to go on")
    return state


def step_of(checkpoint: Path) -> int:
    """The iterations that were done when it was written."""
    return int(checkpoint.name.removeprefix("step-"))


def complete(folder: Path) -> list[Path]:
    """The finished checkpoints in `folder`, oldest first."""
    return sorted(p for p in folder.glob("step-*") if p.is_dir() and re.fullmatch(r"step-\d{8}", p.name))


def tidy(folder: Path) -> None:
    """Cleans up after a kill: half a checkpoint is removed, one that was moved aside comes back."""
    for aside in folder.glob(".*-*.old"):
        final = aside.with_name(aside.name[1:].removesuffix(".old"))
        if final.exists():
            shutil.rmtree(aside, ignore_errors=True)
        else:
            os.rename(aside, final)
    for leftover in folder.glob(".*-*.tmp"):
        shutil.rmtree(leftover, ignore_errors=True)


def of_a_stop(checkpoint: Path) -> bool:
    """Whether it is there because the run was stopped: one that nobody stops has no checkpoint of that iteration."""
    try:
        return bool(read_json(checkpoint / "state.json").get("stopped"))
    except (Unreadable, AttributeError):
        return False


def newest_good(
    folder: Path, warn: Callable[[str], None], before: Path | None = None, undisturbed: bool = False
) -> Path | None:
    """The newest checkpoint, or the newest `before` one, that passes `verify`; `warn` is told each one passed over.

    Args:
        undisturbed: leave out what a run that nobody stops does not have.
    """
    found = [path for path in complete(folder) if before is None or path.name < before.name]
    found = [path for path in found if not (undisturbed and of_a_stop(path))]
    for i, candidate in reversed(list(enumerate(found))):
        try:
            verify(candidate)
            return candidate
        except CheckpointError as damage:
            warn(f"{damage}; going back to {found[i - 1].name if i else 'the beginning'}")
    return None


def remove_after(checkpoint: Path) -> None:
    """Removes all that are newer, the newest first: a run that is killed meanwhile goes on from an older one.

    For one that is about to be written again, which would otherwise lie beside what a run has gone back from.
    """
    for newer in reversed([p for p in complete(checkpoint.parent) if p.name > checkpoint.name]):
        _remove(newer)


def prune(newest: Path, keep: int, best: Path | None = None) -> None:
    """Removes all checkpoints but `newest`, the `keep` - 1 before it, and `best`; those of stops do not count.

    One that is newer than the newest was passed over as damaged.
    """
    found = complete(newest.parent)
    kept = [p for p in found if p.name <= newest.name and not of_a_stop(p)][-keep:]
    for other in [*found, *newest.parent.glob("best-*")]:
        if other not in kept and other not in (newest, best):
            _remove(other)


def _remove(folder: Path) -> None:
    """Out of sight first: a kill in between leaves no half checkpoint."""
    hidden = folder.with_name(f".{folder.name}.gone.tmp")
    shutil.rmtree(hidden, ignore_errors=True)
    os.rename(folder, hidden)
    shutil.rmtree(hidden, ignore_errors=True)


def _unpacked(path: Path) -> dict[str, Tensor]:
    try:
        return load(path.read_bytes())
    except (OSError, SafetensorError) as damage:
        raise CheckpointError(f"{path} cannot be read ({damage})") from damage


def flatten(tree: Any) -> tuple[dict[str, Tensor], Any]:
    """A nested state as (tensors by path, JSON with the paths in their places)."""
    tensors: dict[str, Tensor] = {}
    return tensors, _strip(tree, "", tensors)


def _strip(node: Any, path: str, tensors: dict[str, Tensor]) -> Any:
    if isinstance(node, Tensor):
        tensors[path] = node
        return {"tensor": path}
    if isinstance(node, dict):
        return {"items": [[k, _strip(v, f"{path}/{k}", tensors)] for k, v in node.items()]}
    if isinstance(node, (list, tuple)):
        return [_strip(v, f"{path}/{i}", tensors) for i, v in enumerate(node)]
    return node


def _rebuilt(tensors: dict[str, Tensor], node: Any) -> Any:
    if isinstance(node, dict) and "tensor" in node:
        return tensors[node["tensor"]]
    if isinstance(node, dict):
        return {k: _rebuilt(tensors, v) for k, v in node["items"]}
    if isinstance(node, list):
        return [_rebuilt(tensors, v) for v in node]
    return node
