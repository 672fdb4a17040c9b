"""A page that reads no file but those that its visitors drop on it, whatever a browser sends."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.utils import get_upload_folder


class ConfinedBlocks(gr.Blocks):
    """Blocks that refuse inputs with the path of a file that nobody has dropped, or with an address to fetch.

    gradio looks at paths where it has launched a page itself; this one is part of an application of its own.
    """

    async def preprocess_data(self, block_fn: Any, inputs: list[Any], *others: Any, **named: Any) -> Any:
        folder = Path(get_upload_folder()).resolve()
        for path in _paths(inputs):
            if not isinstance(path, str) or not Path(path).resolve().is_relative_to(folder):
                raise gr.Error("only files that were dropped here are read", print_exception=False)
        return await super().preprocess_data(block_fn, inputs, *others, **named)


def _paths(given: Any) -> Iterator[Any]:
    """The paths of all files in an input, however deep."""
    if isinstance(given, Mapping):
        if "path" in given:
            yield given["path"]
        given = list(given.values())
    if isinstance(given, list):
        for part in given:
            yield from _paths(part)
