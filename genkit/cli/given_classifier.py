"""CLASSIFIER on a command line: code of the user's, an architecture of a library, or weights; and its options."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from genkit.cli.own_module import imported, is_source, meant, refuse_file
from genkit.core.errors import GenkitError, RecipeError, WeightsError, kind_of

if TYPE_CHECKING:
    from torch import nn

    from genkit.classifiers.preprocessing import Preprocessing
    from genkit.core.pretrained import Pretrained

ABOUT_CLASSIFIER = (
    "CLASSIFIER is package.module:factory, a torch.nn.Module of yours, imported from this folder or from installed "
    "code; torchvision:NAME or timm:NAME with --weights; or a weights folder, run or shipped name of a classifier."
)


KEYS = {name: name for name in ("input_size", "range", "mean", "std", "grey")} | {"classes": "class_names"}
"""Options of a classifier made elsewhere -> their keys in its configuration."""


class Numbers(click.ParamType):
    """Numbers with commas between them: 0.485,0.456,0.406."""

    name = "numbers"

    def __init__(self, count: int = 0):
        self.count = count

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        from math import isfinite

        try:
            found = tuple(float(part) for part in str(value).split(","))
        except ValueError:
            self.fail(f"{value!r:.60} is no list of numbers, such as 0.5,0.5,0.5", param, ctx)
        if not all(map(isfinite, found)):
            self.fail(f"{value!r:.60} holds a number that is not finite", param, ctx)
        if self.count and len(found) != self.count:
            self.fail(f"{self.count} numbers are needed, got {len(found)}", param, ctx)
        return found


class Names(click.ParamType):
    """Names with commas between them."""

    name = "names"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        found = tuple(part.strip() for part in str(value).split(","))
        if not all(found) or len(set(found)) < len(found):
            self.fail(f"{value!r:.60}: names differ and none is empty, such as cat,dog", param, ctx)
        return found


MOST = 10_000
"""Classes of a classifier."""


def classifier_options(command: Callable[..., None]) -> Callable[..., None]:
    """Adds the options of this file to a command: how a classifier that was not made by genkit takes images."""
    for option in (
        click.option("--grey", is_flag=True, help="It takes images of one channel."),
        click.option("--std", type=Numbers(), help="Then divided by this, one number a channel or one."),
        click.option("--mean", type=Numbers(), help="Subtracted, in units of --range: 0.485,0.456,0.406 of ImageNet."),
        click.option("--range", "range_", type=Numbers(2), help="Of a black and a white pixel that it takes; 0,1."),
        click.option("--input-size", type=click.IntRange(8, 1024), help="Side length that it takes; --size."),
        click.option("--classes", type=Names(), help="Names of its classes, in order: functional,defective."),
        click.option(
            "--weights", type=click.Path(path_type=Path), help="Of torchvision: or timm:, a .safetensors file."
        ),
    ):
        command = option(command)
    return command


@dataclass(frozen=True)
class GivenClassifier:
    """A classifier as a command line has it."""

    name: str
    classes: tuple[str, ...] = ()
    weights: Path | None = None
    input_size: int | None = None
    range: tuple[float, ...] | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    grey: bool = False

    @property
    def is_code(self) -> bool:
        from genkit.classifiers.library_classifier import is_architecture

        return is_source(self.name) and not is_architecture(self.name)

    @property
    def elsewhere(self) -> bool:
        """Whether it was made elsewhere than by genkit."""
        return self.is_code or self.weights is not None

    def completed(self, kept: Mapping[str, Any]) -> GivenClassifier:
        """With the options that were left out as in `kept`, the configuration of the classifier of a run."""
        left_out = {name: kept.get(key) for name, key in KEYS.items() if not getattr(self, name)}
        found: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in left_out.items() if v}
        return replace(self, **found)

    def check(self) -> None:
        """Raises GenkitError for what the words alone show: a file, no such thing, a missing or a needless option."""
        from genkit.classifiers.library_classifier import check_architecture, is_architecture

        if Path(self.name).is_file():
            refuse_file(Path(self.name))
        if is_architecture(self.name):
            check_architecture(self.name)
            if self.weights is None:
                raise GenkitError(f"{self.name} has random weights: give trained ones with --weights FILE.safetensors")
            if not self.weights.exists():
                raise GenkitError(f"--weights {self.weights} does not exist")
            if not self.weights.is_file() or self.weights.suffix != ".safetensors":
                raise GenkitError(f"--weights {self.weights} is no .safetensors file, which holds tensors and no code")
        elif self.weights is not None:
            whose = "a factory of yours loads" if self.is_code else f"{self.name} has"
            slip = f"; did you mean {near}?" if (near := meant(self.name)) else f"; {whose} its own"
            raise GenkitError(f"--weights is of torchvision:NAME or timm:NAME{slip}")
        elif not self.is_code:
            _check_there(self.name)
            given = [f"--{k.replace('_', '-')}" for k in KEYS if getattr(self, k)]
            if given:
                raise GenkitError(
                    f"{given[0]} is of a classifier made elsewhere; {self.name} knows its own, leave it out"
                )

    def preprocessing(self, size: int) -> Preprocessing:
        """For images of `size` pixels, to which they are made as large as it takes only where that differs."""
        from genkit.classifiers.preprocessing import Preprocessing

        low, high = self.range or (0.0, 1.0)
        wanted = self.input_size if self.input_size != size else None
        try:
            return Preprocessing(self.grey, wanted or 0, (low, high), self.mean or (), self.std or ())
        except RecipeError as misfit:
            raise GenkitError(f"--{misfit}") from misfit


def _check_there(name: str) -> None:
    """Raises WeightsError where no weights have this name, with the other ways to write a classifier."""
    from genkit.core.location import locate

    try:
        locate(name)
    except WeightsError as missing:
        if "did you mean" in str(missing):
            raise
        raise WeightsError(
            f"{missing}; code of yours is written package.module:factory, such as my.net:make, with no / and no .py"
        ) from missing


def built(asked: GivenClassifier, size: int) -> Pretrained:
    """The classifier, frozen, for images of `size` pixels; code of the user's is imported and bound here.

    Raises:
        GenkitError: there is none, or it does not take the images.
    """
    from genkit.classifiers.library_classifier import is_architecture

    asked.check()
    if is_architecture(asked.name):
        return _of_library(asked, size)
    return _own(asked, size) if asked.is_code else _of_size(of_weights(asked.name), size)


def _of_size(classifier: Any, size: int) -> Pretrained:
    """A classifier of genkit's as one of images of `size` pixels."""
    from genkit.classifiers.resized_classifier import ResizedClassifier
    from genkit.core.frozen import freeze

    if classifier.sample_shape[-1] == size:
        return cast("Pretrained", classifier)
    return freeze(ResizedClassifier(classifier, size))


def _own(asked: GivenClassifier, size: int) -> Pretrained:
    import torch

    from genkit.classifiers.fitness import RANDOM, attempt
    from genkit.classifiers.own_classifier import OwnClassifier, alike, answers_of, bind
    from genkit.core.fingerprint import weights_fingerprint
    from genkit.core.frozen import freeze

    preprocessing, module = asked.preprocessing(size), imported(asked.name)
    _check_values(asked.name, module)
    weights = bind(asked.name, module)
    if weights_fingerprint(imported(asked.name)) != weights:
        raise WeightsError(
            f"{asked.name} gives other weights each time that it is called, so that nobody could explain the same "
            "classifier later: load trained ones in it"
        )
    probe = OwnClassifier(asked.name, size, 2, preprocessing=preprocessing)
    with torch.no_grad():
        classes = attempt(probe, torch.zeros(2, *probe.sample_shape)).shape[1]
    if weights_fingerprint(module) != weights:
        raise WeightsError(f"{asked.name} changes its own weights each time that it is called; put an end to that")
    if not 2 <= classes <= MOST:
        raise WeightsError(f"an explanation is of 2 to {MOST:,} classes, and {asked.name} has {classes:,}")
    names, answers = _names(asked, classes), answers_of(probe)
    if not alike(answers, answers_of(probe)):
        raise WeightsError(RANDOM)
    if not alike(answers, answers_of(probe, together=False)):
        raise WeightsError(
            f"{asked.name} answers otherwise when images come one by one: what it says of one image depends on the "
            "others of its batch, so that nobody can say what one image is; put an end to that"
        )
    return freeze(OwnClassifier(asked.name, size, classes, names, weights, preprocessing, answers))


def _check_values(name: str, module: nn.Module) -> None:
    """Raises WeightsError where the weights of a module have no values."""
    from torch import Tensor
    from torch.nn.parameter import is_lazy

    tensors = [value for value in module.state_dict().values() if isinstance(value, Tensor)]
    if any(tensor.is_meta for tensor in tensors):
        raise WeightsError(f"{name} gives a module on the meta device, whose weights have no values: load some")
    if any(is_lazy(tensor) for tensor in tensors):
        raise WeightsError(f"{name} gives a lazy module, whose weights are not made yet: load some")


def _of_library(asked: GivenClassifier, size: int) -> Pretrained:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    from genkit.classifiers.library_classifier import LibraryClassifier, load_weights, outputs_in
    from genkit.core.frozen import freeze

    assert asked.weights is not None
    try:
        state = load_file(asked.weights)
    except (SafetensorError, OSError) as damage:
        raise WeightsError(f"{asked.weights} is damaged or no safetensors file ({damage})") from damage
    outputs = outputs_in(asked.name, state)
    classes = max(outputs, 2)
    names = _names(asked, classes)
    classifier = LibraryClassifier(asked.name, size, classes, names, outputs == 1, asked.preprocessing(size))
    load_weights(classifier, state, str(asked.weights))
    return freeze(classifier)


def of_weights(name: str) -> Pretrained:
    """A classifier of genkit's, frozen.

    Raises:
        WeightsError: no weights, or of something else.
    """
    from genkit.core.frozen import freeze
    from genkit.core.pretrained import Pretrained

    found: Any = Pretrained.from_pretrained(name)
    if not isinstance(getattr(found, "classes", None), int) or not hasattr(found, "features"):
        raise WeightsError(f"{name} holds {kind_of(found)}, which is no classifier of images")
    classifier: Pretrained = freeze(found)
    return classifier


def _names(asked: GivenClassifier, classes: int) -> tuple[str, ...]:
    if asked.classes and len(asked.classes) != classes:
        raise GenkitError(f"--classes names {len(asked.classes)}, but {asked.name} has {classes} classes")
    return asked.classes or tuple(f"class {i}" for i in range(classes))
