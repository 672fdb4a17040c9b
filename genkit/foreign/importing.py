"""An author's checkpoint, written as a weights folder of genkit."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from genkit.errors import WeightsError
from genkit.files import write_atomically
from genkit.foreign import load
from genkit.foreign.checkpoint import read_checkpoint
from genkit.networks.latent import LatentNetwork
from genkit.pretrained import Pretrained


def import_checkpoint(
    layout: str, checkpoint: str | Path, config: Mapping[str, Any], out: str | Path, part: str | None = None
) -> Pretrained:
    """Writes config.json, model.safetensors and README.md to `out`; returns what `from_pretrained(out)` would.

    Args:
        layout: one of `foreign.layouts()`.
        checkpoint: file for `read_checkpoint`, with its `part`.
        config: the authors' settings, by their names.
        out: a folder that is new or empty.

    Raises:
        WeightsError: `out` holds something, or the checkpoint does not fit; nothing is written then.
        CheckpointError: `out` cannot be written.
    """
    out = Path(out)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise WeightsError(f"{out} exists and is not empty; choose another folder")
    product = _product(load(layout, read_checkpoint(checkpoint, part), config))
    product.save_pretrained(out)
    write_atomically(out / "README.md", _readme(out.name, layout, Path(checkpoint), config, product).encode())
    return product


def _product(loaded: nn.Module) -> Pretrained:
    """The part that genkit keeps: ours, not the wrapper that answers as the authors' does."""
    network = loaded if isinstance(loaded, Pretrained) else loaded.network
    if isinstance(network, LatentNetwork):
        from genkit.generators.gan import GAN

        return GAN(network=network).eval()
    assert isinstance(network, Pretrained)
    return network


def _readme(name: str, layout: str, checkpoint: Path, config: Mapping[str, Any], product: Pretrained) -> str:
    digest = hashlib.sha256(checkpoint.read_bytes()).hexdigest()
    settings = json.dumps({str(key): value for key, value in config.items()}, indent=2, default=str)
    return f"""# {name}

A {type(product).__name__}, imported from the authors' checkpoint `{checkpoint.name}` (SHA-256 {digest})
in the layout `{layout}`, with the authors' settings

```json
{settings}
```

```python
from genkit.pretrained import Pretrained

module = Pretrained.from_pretrained("{name}")  # the path of this folder
```
"""
