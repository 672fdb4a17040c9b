"""JSON of a result, and what it is of."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import click

from genkit.core.documents import json_of_result
from genkit.core.files import write_atomically


def write_json(path: Path, tree: Mapping[str, Any], **of: tuple[str, Any]) -> None:
    """Writes a result to a file and prints its path.

    Args:
        of: key -> the argument and what it held, such as the generator of a score: told as its name, the hash of its
            weights and its settings, so that nobody need guess later what the numbers are of.
    """
    whole = {**tree, **{key: {"name": name, **_weighed(held)} for key, (name, held) in of.items()}}
    write_atomically(path, json_of_result(whole))
    click.echo(f"written to {path}")


def _weighed(held: Any) -> dict[str, Any]:
    from genkit.core.fingerprint import weights_fingerprint
    from genkit.core.pretrained import Pretrained

    if not isinstance(held, Pretrained):
        return {}
    return {"weights": weights_fingerprint(cast(Any, held)), "settings": held.config}
