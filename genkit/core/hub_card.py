"""The card of weights on the Hugging Face Hub: their README.md below the header that the hub reads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import yaml

from genkit.core.card_header import parted

UNKNOWN = "unknown"
"""The hub's word for weights whose licence nobody has said."""


def hub_card(
    text: str, config: Mapping[str, Any], target: str, license: str | None = None, datasets: Sequence[str] = ()
) -> str:
    """README.md for the repository `target`.

    Args:
        text: README.md of the weights, perhaps with a header of its own, whose other keys are kept; may be empty.
        config: content of config.json.
        license: the hub's name of a licence; None is that of the header, else "unknown".
        datasets: the hub's names of the training data, added to those of the header.

    Raises:
        WeightsError: the text has a header that is no plain YAML mapping.
    """
    header, body = parted(text)
    kind = str(config["type"])
    header |= {"license": license or header.get("license") or UNKNOWN, "library_name": "genkit"}
    header["tags"] = list(dict.fromkeys([*_listed(header, "tags"), "genkit", "image-generation", *_types(config)]))
    if known := list(dict.fromkeys([*_listed(header, "datasets"), *datasets])):
        header["datasets"] = known
    body = body.strip() or f"# {target.partition('@')[0].partition('/')[2]}\n\nA {kind}, made by genkit."
    return f"---\n{yaml.safe_dump(header, sort_keys=False, allow_unicode=True)}---\n\n{body}\n{_use(body, target)}"


def _use(body: str, target: str) -> str:
    """Lines that load the weights, unless the body has them."""
    if target in body:
        return ""
    return f"""
## Use

```python
from genkit.core.pretrained import Pretrained

module = Pretrained.from_pretrained("{target}")
```
"""


def _listed(header: Mapping[str, Any], key: str) -> list[Any]:
    found = header.get(key) or []
    return list(found) if isinstance(found, list) else [found]


def _types(tree: Any) -> Iterator[str]:
    """Names of what the weights are made of: the generator and its network."""
    for node in (tree, *(tree.get(key) for key in ("generator", "network"))):
        if isinstance(node, Mapping) and isinstance(node.get("type"), str):
            yield node["type"].replace("_", "-")
