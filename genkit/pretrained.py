"""config.json + model.safetensors: a module that remembers how it was built, written to a folder and read back."""

from __future__ import annotations

import inspect
import json
from collections.abc import Sequence
from functools import wraps
from pathlib import Path
from typing import Any, Protocol, Self, runtime_checkable

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import nn

from genkit import catalog
from genkit.errors import ConditionError, GenkitError, WeightsError
from genkit.files import write_atomically

CONFIG, WEIGHTS = "config.json", "model.safetensors"
PICKLES = {".bin", ".pt", ".pth", ".pkl", ".ckpt"}


@runtime_checkable
class Starting(Protocol):
    """A module that starts from published weights: fetched when a training is prepared, not when the module is built.

    So a network that is about to be given other weights needs no download.
    """

    def fetch_start(self) -> None:
        """Loads them.

        Raises:
            WeightsError: they cannot be had.
        """


class Configured:
    """Records the constructor's arguments as `config`, nested where they are Configured too."""

    config: dict[str, Any]

    def __init_subclass__(cls, **kwargs: Any):
        super().__init_subclass__(**kwargs)
        if "__init__" in cls.__dict__:
            cls.__init__ = _recording(cls.__init__)  # type: ignore[method-assign]


class Pretrained(Configured):
    """Mixin of nn.Module: what can be written to a folder and read back from it.

    Attributes:
        class_names: what its classes are called, in the order of their numbers; empty when they have no names. Set by
            `name_classes`; kept in config.json beside `type`.
    """

    class_names: tuple[str, ...] = ()

    def save_pretrained(self, folder: str | Path) -> Path:
        """Writes config.json and model.safetensors, each in one piece.

        Raises:
            WeightsError: the folder cannot be written.
        """
        assert isinstance(self, nn.Module)
        folder = Path(folder)
        state = {k: v.detach().cpu().contiguous() for k, v in self.state_dict().items()}
        names = {"class_names": list(self.class_names)} if self.class_names else {}
        write_atomically(folder / CONFIG, (json.dumps({**self.config, **names}, indent=2) + "\n").encode())
        write_atomically(folder / WEIGHTS, save(state, metadata={"format": "pt"}))
        return folder

    @classmethod
    def from_pretrained(cls, source: str | Path) -> Self:
        """The module in `source` (a weights or run folder, the name of shipped weights, or a hub id), in eval mode.

        Raises:
            WeightsError: nothing there, a pickle, damaged or non-finite weights, or a module of another class.
        """
        folder = locate(source)
        config = _read_config(folder)
        names = config.pop("class_names", []) if isinstance(config, dict) else []
        module = catalog.build(config, where=str(folder / CONFIG))
        if not isinstance(module, cls) or not isinstance(module, nn.Module):
            raise WeightsError(f"{folder} holds a {type(module).__name__}, not a {cls.__name__}")
        try:
            name_classes(module, names)
        except GenkitError as misfit:
            raise WeightsError(f"{folder / CONFIG}: class_names: {misfit}") from misfit
        _load(module, _read_weights(folder / WEIGHTS), folder / WEIGHTS)
        return module.eval()


def name_classes(module: Pretrained, names: Sequence[str]) -> None:
    """Tells a generator or classifier what its classes are called; without `names` it keeps those that it has.

    Raises:
        ConditionError: not one name a class.
    """
    if not isinstance(names, (list, tuple)) or not all(isinstance(name, str) for name in names):
        raise ConditionError(f"names are a list of texts, got {names!r:.60}")
    classes = getattr(module, "classes", None)
    if names and classes is not None and classes != len(names):
        raise ConditionError(f"{classes} classes need {classes} names, got {len(names)}")
    if names:
        module.class_names = tuple(names)
        module.config |= {"class_names": list(names)} if "class_names" in module.config else {}


def _recording(init: Any) -> Any:
    @wraps(init)
    def record(self: Any, *args: Any, **kwargs: Any) -> None:
        if "config" not in self.__dict__:  # else a derived class's constructor has recorded already
            bound = inspect.signature(init).bind(self, *args, **kwargs)
            bound.apply_defaults()
            arguments = dict(list(bound.arguments.items())[1:])
            self.__dict__["config"] = {
                "type": catalog.name_of(type(self)),
                **{k: _plain(v) for k, v in arguments.items()},
            }
        init(self, *args, **kwargs)

    return record


def _plain(value: Any) -> Any:
    if hasattr(value, "config"):
        return value.config
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    return value


def locate(source: str | Path) -> Path:
    """The local folder of `source`.

    A path wins; then the `weights` of a run folder, a name under the shipped `weights/`, and, with the extra
    `genkit[hub]`, a model id `owner/name` downloaded from the Hugging Face Hub.
    """
    path = Path(source)
    for folder in (path, path / "weights", catalog.shipped("weights") / str(source)):
        if (folder / CONFIG).is_file():
            return folder
    if path.is_file():
        raise WeightsError(f"{path} is a file; weights are a folder with {CONFIG} and {WEIGHTS}{_about_pickle(path)}")
    if path.is_dir():
        raise WeightsError(f"{path} has no {CONFIG}; is it a weights folder or a run that was never finished?")
    if _is_hub_id(str(source)):
        return _download(str(source))
    known = sorted(p.parent.name for p in catalog.shipped("weights").glob(f"*/{CONFIG}"))
    raise WeightsError(f"no weights at {source}; give a folder or one of the shipped: {', '.join(known) or 'none'}")


def _is_hub_id(source: str) -> bool:
    parts = source.split("/")
    return len(parts) == 2 and all(p and p not in {".", ".."} for p in parts) and not Path(parts[0]).exists()


def _download(model: str) -> Path:
    try:
        from huggingface_hub import snapshot_download
    except ImportError as missing:
        raise WeightsError(
            f"{model} is not a local folder; to download from the hub: pip install 'genkit[hub]'"
        ) from missing
    try:
        return Path(snapshot_download(model, allow_patterns=[CONFIG, WEIGHTS, "README.md"]))
    except Exception as failure:  # the hub client raises a dozen unrelated types
        reason = (str(failure).splitlines() or [""])[0][:120]
        raise WeightsError(f"no local folder {model}, and the hub did not give it: {reason}") from failure


def _about_pickle(path: Path) -> str:
    if path.suffix in PICKLES:
        return (
            "; pickles can run code and are refused: use 'genkit import LAYOUT CHECKPOINT' for an author's checkpoint"
        )
    return ""


def _read_config(folder: Path) -> Any:
    try:
        return json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError, OSError, RecursionError) as damage:
        raise WeightsError(f"{folder / CONFIG} cannot be read as JSON ({damage})") from damage


def _read_weights(path: Path) -> dict[str, torch.Tensor]:
    if not path.is_file():
        found = next((p for p in sorted(path.parent.iterdir()) if p.suffix in PICKLES), None)
        hint = f" (found {found.name}{_about_pickle(found)})" if found else ""
        raise WeightsError(f"{path} is missing{hint}")
    try:
        state = load_file(path)
    except (SafetensorError, OSError) as damage:
        raise WeightsError(f"{path} is damaged or not a safetensors file ({damage})") from damage
    for name, tensor in state.items():
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise WeightsError(f"{path}: {name} holds numbers that are not finite")
    return state


def _load(module: nn.Module, state: dict[str, torch.Tensor], path: Path) -> None:
    expected = module.state_dict()
    missing, extra = sorted(expected.keys() - state.keys()), sorted(state.keys() - expected.keys())
    shapes = [k for k in expected.keys() & state.keys() if expected[k].shape != state[k].shape]
    if missing or extra or shapes:
        parts = [
            f"{what} {names[0]!r} and {len(names) - 1} more" if len(names) > 1 else f"{what} {names[0]!r}"
            for what, names in (("missing", missing), ("unexpected", extra), ("of another shape", sorted(shapes)))
            if names
        ]
        raise WeightsError(f"{path} does not fit its {CONFIG}: {'; '.join(parts)}")
    module.load_state_dict(state)
