"""Cards of weights: their README.md, and on the Hugging Face Hub the header that it reads above it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from genkit.core.card_header import parted
from genkit.core.papers import entry_of

UNKNOWN = "unknown"
"""The hub's word for weights whose licence nobody has said."""


@dataclass(frozen=True)
class CardFacts:
    """The content of a card beside the name.

    Attributes:
        about: a sentence or two.
        use: lines of a shell.
        rows: (name, value) of how the weights came to be.
        scores: (name, value, what it says).
        warnings: lines about the scores.
        papers: keys of the papers behind it.
    """

    about: str = ""
    use: Sequence[str] = ()
    rows: Sequence[tuple[str, str]] = ()
    scores: Sequence[tuple[str, str, str]] = ()
    warnings: Sequence[str] = ()
    papers: Sequence[str] = ()


def card(name: str, kind: str, facts: CardFacts | None = None) -> str:
    """README.md of the weights of a `kind`, in Markdown; a function of its arguments alone."""
    known = facts or CardFacts()
    parts = [f"# {_in_line(name)}", _in_line(known.about), f"A {kind}, made by genkit."]
    if known.use:
        parts.append("\n".join(["```sh", *known.use, "```"]))
    if known.rows:
        parts.append(_table(("training", ""), known.rows))
    if known.scores:
        parts.append(_table(("score", "value", "in words"), known.scores))
    parts += [f"Of these scores: {_in_line(line)}." for line in known.warnings]
    if known.papers:
        parts.append(f"Papers behind it: {', '.join(map(_paper, known.papers))}.")
    return "\n\n".join(filter(None, parts)) + "\n"


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(map(_in_line, line)) + " |" for line in lines)


def _in_line(text: str) -> str:
    """Text that neither ends a line or a cell of a table nor holds HTML."""
    return " ".join(text.replace("|", "\\|").replace("<", "&lt;").split())


def _paper(key: str) -> str:
    """A paper by its number, so that whoever reads the card finds it."""
    number = re.search(r"\d{4}\.\d{4,5}", entry_of(key))
    return f"arXiv:{number[0]}" if number else key


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
    body = body.strip() or card(target.partition("@")[0].partition("/")[2], kind).strip()
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
