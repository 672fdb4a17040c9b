"""An author's checkpoint, written as a weights folder of genkit."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from genkit.core.errors import WeightsError
from genkit.core.files import new_folder, sha256_of_file, write_text_atomically
from genkit.core.pretrained import Pretrained
from genkit.foreign import home, load
from genkit.foreign.authors_checkpoint import read_checkpoint


def import_checkpoint(
    layout: str, checkpoint: str | Path, config: Mapping[str, Any] | None, out: str | Path, part: str | None = None
) -> Pretrained:
    """Writes config.json, model.safetensors and README.md to `out`; returns what `from_pretrained(out)` would.

    Args:
        layout: one of `foreign.layouts()`.
        checkpoint: file for `read_checkpoint`, with its `part`; of `diffusers/pipeline`, its folder.
        config: the authors' settings, by their names; a pipeline's folder holds its own.
        out: a folder that is new or empty.

    Raises:
        WeightsError: `out` holds something, or the checkpoint does not fit; nothing is written then.
        CheckpointError: `out` cannot be written.
    """
    out = new_folder(out)
    state, settings, weights = _read(layout, Path(checkpoint), config, part)
    product = _product(load(layout, state, settings), layout, settings)
    product.save_pretrained(out)
    write_text_atomically(out / "README.md", _readme(out.name, layout, weights, settings, product))
    return product


def from_flags(layout: str, flags: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that the authors' scripts derive from their `flags`, for `import_checkpoint` and `load`.

    Raises:
        WeightsError: no such layout, or one whose scripts have no flags; a flag that is unknown, or that is ignored.
    """
    family = import_module(home(layout).__package__ or "")
    if not hasattr(family, "from_flags"):
        raise WeightsError(f"{layout}: no flags of its authors' scripts are known; leave out --settings")
    settings: dict[str, Any] = family.from_flags(layout, flags)
    return settings


def from_command_line(layout: str, words: Sequence[str]) -> tuple[dict[str, Any], list[str]]:
    """As `from_flags`, of a command line of the authors' scripts, `--FLAG VALUE`; also the flags that were passed over,
    since they say nothing of the network.

    Raises:
        WeightsError: as `from_flags`; a flag without a value.
    """
    family = import_module(home(layout).__package__ or "")
    if not hasattr(family, "of_command_line"):
        raise WeightsError(f"{layout}: no flags of its authors' scripts are known; leave out {words[0]:.60}")
    flags, passed = family.of_command_line(layout, words)
    return from_flags(layout, flags), passed


def example_settings(layout: str) -> tuple[str, Mapping[str, Any]] | None:
    """The option of `genkit import` that takes a settings file, and what such a file says of one checkpoint; None for a
    layout that needs no file."""
    family = import_module(home(layout).__package__ or "")
    if hasattr(family, "example_flags") and (flags := family.example_flags(layout)):
        return "--settings", flags
    examples: Mapping[str, Mapping[str, Any]] = getattr(home(layout), "EXAMPLES", {})
    name = layout.partition("/")[2]
    return ("--config", examples[name]) if name in examples else None


def _read(
    layout: str, checkpoint: Path, config: Mapping[str, Any] | None, part: str | None
) -> tuple[Mapping[str, Tensor], Mapping[str, Any], Path]:
    """Tensors, settings, and the file of the tensors."""
    if read_folder := getattr(home(layout), "read_folder", None):
        if config is not None or part is not None:
            raise WeightsError(f"{layout}: the folder holds its settings and one network; leave out config and part")
        found: tuple[Mapping[str, Tensor], Mapping[str, Any], Path] = read_folder(checkpoint)
        return found
    if config is None and getattr(home(layout), "needs_config", True):
        raise WeightsError(f"{layout}: needs a config, the authors' settings (--config FILE, JSON or YAML)")
    return read_checkpoint(checkpoint, part), config or {}, checkpoint


def _product(loaded: nn.Module, layout: str, config: Mapping[str, Any]) -> Pretrained:
    """The module that genkit keeps: a generator if the family makes one, else genkit's own network."""
    network = loaded if isinstance(loaded, Pretrained) else loaded.network
    assert isinstance(network, Pretrained)
    family = import_module(home(layout).__package__ or "")
    made: Pretrained = family.product(network, layout, config) if hasattr(family, "product") else network
    assert isinstance(made, nn.Module)
    return made.eval()


def _readme(name: str, layout: str, checkpoint: Path, config: Mapping[str, Any], product: Pretrained) -> str:
    digest = sha256_of_file(checkpoint)
    differences: list[str] = getattr(home(layout), "differences", lambda _: [])(config)
    settings = json.dumps({str(key): value for key, value in config.items()}, indent=2, default=str)
    notes = "".join(f"\nDifferent here: {line}.\n" for line in differences)
    return f"""# {name}

A {type(product).__name__}, imported from the authors' checkpoint `{checkpoint.name}` (SHA-256 {digest})
in the layout `{layout}`, with the authors' settings

```json
{settings}
```

```python
from genkit.core.pretrained import Pretrained

module = Pretrained.from_pretrained("{name}")  # the path of this folder
```
{notes}"""
