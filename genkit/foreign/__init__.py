"""Original authors' checkpoints, loaded into genkit's networks.

A layout is the set of tensor names of one network in one code base: `<source>/<network>`. Listing them imports nothing
heavy.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

from genkit.core.catalog import imported
from genkit.core.entry import Entry
from genkit.core.errors import WeightsError, suggest
from genkit.core.table import CATALOG, lookup

if TYPE_CHECKING:
    from torch import Tensor, nn

_ELSEWHERE = {
    "read_checkpoint": "genkit.foreign.authors_checkpoint",
    "read_settings": "genkit.foreign.authors_settings",
    "from_flags": "genkit.foreign.importing",
    "from_command_line": "genkit.foreign.importing",
    "example_settings": "genkit.foreign.importing",
    "import_checkpoint": "genkit.foreign.importing",
    "export_pipeline": "genkit.diffusion.authors.diffusers_pipeline",
    "export_graph": "genkit.foreign.exported_graph",
    "check_packages": "genkit.foreign.exported_graph",
}
__all__ = ["layouts", "load", *_ELSEWHERE]


def __getattr__(name: str) -> Any:
    if name not in _ELSEWHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_ELSEWHERE[name]), name)


def layouts() -> list[str]:
    """The names that `load` accepts, sorted."""
    return sorted(CATALOG["layouts"])


def home(layout: str) -> ModuleType:
    """The module of a layout.

    Beside the functions of its layouts it may define `read_folder(folder) -> (tensors, settings, file of the tensors)`,
    for layouts that are folders with their settings, `needs_config = False`, where all is in the tensors,
    `differences(settings) -> lines`, about differences from the authors' code, and `EXAMPLES`, settings of a checkpoint
    by the layout's name behind the slash. Its package may define `product(network, layout, settings)`, which makes a
    generator of a network, and, where the authors' scripts have flags, `from_flags(layout, flags)`, the settings that
    they derive from them, `of_command_line(layout, words)` and `example_flags(layout)`.

    Raises:
        WeightsError: there is no such layout.
    """
    return import_module(_find(layout)[1].target.partition(":")[0])


def _find(layout: str) -> tuple[str, Entry]:
    found = lookup(layout, ("layouts",))
    if found is None:
        raise WeightsError(f"no layout {layout!r}{suggest(layout, CATALOG['layouts'])}")
    return found


def load(layout: str, state_dict: Mapping[str, Tensor], config: Mapping[str, Any]) -> nn.Module:
    """The authors' network, in eval mode: called as theirs is and returning what theirs returns.

    Where genkit's own network returns another form, it is the attribute `network` of the returned module.

    Args:
        layout: one of `layouts()`.
        state_dict: the authors' tensors by the authors' names, as `read_checkpoint` gives them. Prefixes that wrappers
            add (`module.`) are taken off; half precision becomes float32.
        config: the authors' settings, by their names; those that the network does not depend on are ignored.

    Raises:
        WeightsError: an unknown layout, a setting that is missing or out of range, or tensors that are missing,
            unexpected, of another shape, not finite, or unequal where the layout names one tensor twice.
    """
    loaded: nn.Module = imported(layout, _find(layout))(state_dict, config)
    return loaded.eval()
