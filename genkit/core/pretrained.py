"""config.json + model.safetensors: a module that remembers how it was built, written to a folder and read back."""

from __future__ import annotations

import inspect
import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from functools import wraps
from itertools import chain
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import nn

from genkit.core import catalog
from genkit.core.conversion import SharedArguments
from genkit.core.documents import Unreadable, check_plain, read_json
from genkit.core.errors import ConditionError, GenkitError, WeightsError, kind_of
from genkit.core.files import only_writer, write_atomically
from genkit.core.frozen import is_frozen
from genkit.core.location import CONFIG, PICKLES, PRODUCTS, WEIGHTS, Unfinished, about_pickle, locate
from genkit.core.reference import contained
from genkit.core.tensors import load_into


class Starting(ABC):
    """A module that starts from published weights: loaded when a training is prepared, not when the module is built.

    So a network that is about to be given other weights needs no download.
    """

    @abstractmethod
    def setup(self) -> None:
        """Loads them, once, before training.

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
    """Mixin of nn.Module for modules that are written to a folder and read back from it.

    Attributes:
        class_names: of its classes, in the order of their numbers; empty when they have no names. Set by
            `name_classes`; kept in config.json beside `type`.
        judged_by: "module:class" of its judge, see genkit.evaluation.judges; "" if it cannot be scored.
    """

    class_names: tuple[str, ...] = ()
    judged_by: ClassVar[str] = ""

    @property
    def device(self) -> torch.device:
        """Of its first tensor; the CPU where it has none."""
        assert isinstance(self, nn.Module)
        return next((t.device for t in chain(self.parameters(), self.buffers())), torch.device("cpu"))

    def save_pretrained(self, folder: str | Path) -> Path:
        """Writes model.safetensors and config.json, each in one piece.

        Raises:
            GenkitError: a part of it cannot be described, such as a module that is not Configured.
            CheckpointError: the folder cannot be written, or another process writes there.
        """
        assert isinstance(self, nn.Module)
        folder, config = Path(folder), _as_json(self)
        state = {k: v.detach().cpu().contiguous() for k, v in self.state_dict().items()}
        with only_writer(folder, "writing weights to"):
            write_atomically(folder / WEIGHTS, save(state, metadata={"format": "pt"}))
            write_atomically(folder / CONFIG, config)
        return folder

    @classmethod
    def from_pretrained(cls, source: str | Path) -> Self:
        """The module in `source` (a weights or run folder, the name of shipped weights, or a hub id), in eval mode.

        Of a run that has not finished it is the averaged copy in its newest checkpoint, with a warning that says so.

        Raises:
            WeightsError: nothing there, a pickle, damaged or non-finite weights, or a module of another class.
        """
        found = locate(source)
        module = loaded(found)
        if not isinstance(module, cls) or not isinstance(module, nn.Module):
            place = found if isinstance(found, Path) else found.checkpoint
            raise WeightsError(f"{place} holds {kind_of(module)}, not {kind_of(cls)}")
        return module.eval()


def save_products(products: Mapping[str, Pretrained], folder: Path) -> None:
    """The first of `products` in `folder`, each other one in the folder of its name below, the first one last.

    Raises:
        CheckpointError: as `save_pretrained`.
    """
    (_, main), *others = products.items()
    for name, product in others:
        product.save_pretrained(folder / name)
    if others:
        write_atomically(folder / PRODUCTS, json.dumps(list(products)).encode())
    main.save_pretrained(folder)


def name_classes(module: Pretrained, names: Sequence[str]) -> None:
    """Gives a generator or classifier the names of its classes; without `names` it keeps those that it has.

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
            arguments = dict[str, Any]()
            for name, value in list(bound.arguments.items())[1:]:
                arguments |= value.as_arguments() if isinstance(value, SharedArguments) else {name: value}
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


def described(module: Pretrained) -> dict[str, Any]:
    """The content of config.json for `module`: the arguments that made it, and the names of its classes."""
    return module.config | ({"class_names": list(module.class_names)} if module.class_names else {})


def _as_json(module: Pretrained) -> bytes:
    def refuse(part: Any) -> None:
        raise GenkitError(
            f"{kind_of(module)} cannot be saved: it was made of {kind_of(part)}, which no {CONFIG} can describe; "
            "genkit's own kinds, and those that docs/own_network.md adds to them, can be"
        )

    return (json.dumps(described(module), indent=2, default=refuse) + "\n").encode()


def built(description: Any, where: str) -> Any:
    """The module that `described` describes, its weights not loaded.

    Raises:
        RecipeError: it describes none.
        WeightsError: the names do not fit the classes.
    """
    spec = dict(description) if isinstance(description, dict) else description
    names = spec.pop("class_names", []) if isinstance(spec, dict) else []
    module = catalog.build(spec, where=where)
    try:
        if isinstance(module, Pretrained):
            name_classes(module, names)
    except GenkitError as misfit:
        raise WeightsError(f"{where}: class_names: {misfit}") from misfit
    return module


def configuration(found: Path | Unfinished) -> Any:
    """The configuration of the module that `locate` has found."""
    return _read_config(found) if isinstance(found, Path) else found.config


def loaded(found: Path | Unfinished) -> Any:
    """The module that `locate` has found.

    Raises:
        WeightsError: a pickle, damaged or non-finite weights.
    """
    if not isinstance(found, Path):
        return found.product()
    module = built(_read_config(found), str(found / CONFIG))
    if isinstance(module, nn.Module):
        finished = _of_frozen_parts(module)
        alone = finished and finished.keys() == module.state_dict().keys() and not (found / WEIGHTS).exists()
        state = {} if alone else _read_weights(found / WEIGHTS)
        _load(module, finished | state, found / WEIGHTS)
    return module


def _of_frozen_parts(module: nn.Module) -> dict[str, torch.Tensor]:
    """The tensors that came with weights which a config.json names; its own file may have others in their place."""
    own, parts = module.state_dict(), [f"{name}." for name, part in module.named_modules() if is_frozen(part)]
    return {name: value for name, value in own.items() if name.startswith(tuple(parts))}


def _read_config(folder: Path) -> Any:
    try:
        config = read_json(folder / CONFIG)
        check_plain(config)
    except Unreadable as damage:
        raise WeightsError(f"{folder / CONFIG} cannot be read as JSON ({damage})") from damage
    return contained(config, folder)


def _read_weights(path: Path) -> dict[str, torch.Tensor]:
    if not path.is_file():
        found = next((p for p in sorted(path.parent.iterdir()) if p.suffix in PICKLES), None)
        hint = f" (found {found.name}{about_pickle(found)})" if found else ""
        raise WeightsError(f"{path} is missing{hint}")
    try:
        state = load_file(path)
    except (SafetensorError, OSError) as damage:
        raise WeightsError(f"{path} is damaged or not a safetensors file ({damage})") from damage
    return state


def _load(module: nn.Module, state: dict[str, torch.Tensor], path: Path) -> None:
    try:
        load_into(module, state)
    except ValueError as misfit:
        raise WeightsError(f"{path} does not fit its {CONFIG}: {misfit}") from misfit
