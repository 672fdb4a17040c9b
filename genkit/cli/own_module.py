"""A module of the user's by `package.module:factory`. Only the command line imports by such a name, never a file."""

from __future__ import annotations

import os
import re
import sys
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genkit.core.errors import GenkitError, WeightsError, first_line, kind_of, shown, suggest
from genkit.core.others_code import note_others

if TYPE_CHECKING:
    from torch import nn

WAYS = "a classifier is package.module:factory, a weights folder, or torchvision:NAME with --weights"
CLOSE = 0.8
"""Likeness, of 1, from which another name is taken for a slip."""
SOURCE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")


def is_source(text: str) -> bool:
    """Whether `text` is written as package.module:factory, and no file has this name."""
    return SOURCE.fullmatch(text) is not None and not os.path.exists(text)


def imported(source: str) -> nn.Module:
    """The module that `package.module:factory` makes, or is, from the current folder or installed code.

    Raises:
        GenkitError: it cannot be imported, or makes no torch.nn.Module.
    """
    from torch import jit, nn

    name, _, factory = source.partition(":")
    note_others(name)
    if (here := os.getcwd()) not in sys.path:
        sys.path.insert(0, here)
    try:
        make = getattr(_import(name, source), factory)
    except AttributeError as missing:
        known = [n for n in vars(sys.modules[name]) if not n.startswith("_")]
        raise GenkitError(f"{source}: {name} has no {factory!r}{suggest(factory, known)}") from missing
    module = make if isinstance(make, nn.Module) else _called(make, source)
    if isinstance(module, jit.ScriptModule):
        raise WeightsError(f"{source} gives an exported TorchScript, no module of Python; give the module itself")
    if not isinstance(module, nn.Module):
        raise WeightsError(f"{source} gives {kind_of(module)}; a torch.nn.Module is needed")
    return module


def meant(source: str) -> str:
    """The architecture of a library whose name is like it; "" for none."""
    from genkit.classifiers.library_classifier import LIBRARIES

    name, _, factory = source.partition(":")
    near = get_close_matches(name, LIBRARIES, n=1, cutoff=CLOSE)
    return f"{near[0]}:{factory}" if near else ""


def _import(name: str, source: str) -> Any:
    try:
        return import_module(name)
    except (Exception, SystemExit) as failure:
        if isinstance(failure, ModuleNotFoundError) and failure.name and f"{name}.".startswith(f"{failure.name}."):
            advice = f"did you mean {near}?" if (near := meant(source)) else WAYS
            raise GenkitError(
                f"{source}: there is no module {failure.name!r} in this folder or among installed packages; {advice}"
            ) from failure
        raise GenkitError(f"{source}: {name} cannot be imported: {_in_one_line(failure)}") from failure


def _called(make: Any, source: str) -> Any:
    import torch

    if not callable(make):
        return make
    here, learning = os.getcwd(), torch.is_grad_enabled()
    try:
        return make()
    except (Exception, SystemExit) as failure:
        raise GenkitError(f"{source}: calling it without arguments fails: {_in_one_line(failure)}") from failure
    finally:  # what it has set for itself is not meant for a training
        os.chdir(here)
        torch.set_grad_enabled(learning)


def _in_one_line(failure: BaseException) -> str:
    return f"{type(failure).__name__}: {first_line(failure)}"


EXPORTED = {
    ".onnx": "an ONNX file is a graph without gradients",
    ".pt2": "a torch.export file is a fixed graph, no module whose gradients are known to work",
    ".engine": "a TensorRT engine has no gradients",
    ".tflite": "a TFLite file has no gradients",
}


def refuse_file(path: Path) -> None:
    """Raises WeightsError for a file given as a classifier: exported, weights alone, or a pickle."""
    reason = EXPORTED.get(path.suffix.lower())
    if reason is None and path.suffix.lower() == ".safetensors":
        raise WeightsError(f"{path} holds weights alone: say whose, as in torchvision:resnet18 --weights {path}")
    if reason is None:
        reason = _of_archive(path)
    raise WeightsError(f"{path}: {reason}; give the module itself as package.module:factory")


def _of_archive(path: Path) -> str:
    from zipfile import BadZipFile, ZipFile

    try:
        with ZipFile(path) as archive:
            names = [name.partition("/")[2] or name for name in archive.namelist()]
    except (BadZipFile, OSError):
        return f"a classifier is no file such as {shown(path.name)}"
    if "constants.pkl" in names or any(name.startswith("code/") for name in names):
        return "a TorchScript file is an exported program, no module of Python"
    if any(name.endswith(("data.pkl", ".pkl")) for name in names):
        return "a pickle can run code and is refused"
    return "an exported program is no module whose gradients are known to work"
