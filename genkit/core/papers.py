"""The papers behind names and recipes, and their BibTeX (papers.bib). `genkit cite` prints them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from genkit.core.errors import RecipeError, shown, suggest
from genkit.core.table import CATALOG, lookup

FIELDS = ("author", "year", "title")

ARGUMENTS: tuple[tuple[str, str, Any, str], ...] = (
    ("_critic", "spectral_norm", None, "miyato2018spectral"),
    ("_critic", "classes", None, "miyato2018projection"),
    ("_generator", "classes", None, "mirza2014cgan"),
    ("energy_network", "norm", "spectral", "miyato2018spectral"),
    ("gradient_penalty", "sides", "one", "petzka2018lp"),
)
"""(end of the type's name, argument, its value or None for anything but nothing, key): papers of a single setting."""


def papers_of(spec: Any) -> list[str]:
    """Keys for a name, or for everything inside nested `{type: name, **arguments}`, in order, each once."""
    return list(dict.fromkeys(_keys(spec)))


def _keys(spec: Any) -> Iterator[str]:
    if isinstance(spec, str):
        yield from _of_name(spec)
    elif isinstance(spec, Mapping):
        name = spec.get("type")
        if isinstance(name, str):
            yield from _of_name(name)
            yield from _of_arguments(name, spec)
        for value in spec.values():
            if isinstance(value, (Mapping, list)):
                yield from _keys(value)
    elif isinstance(spec, list):
        for value in spec:
            yield from _keys(value)


def _of_name(name: str) -> Iterator[str]:
    """Keys of the papers of a name; for a source of layouts, such as `transgan`, those of all its layouts."""
    if found := lookup(name):
        yield from found[1].papers
    else:
        for layout, entry in CATALOG["layouts"].items():
            if layout.startswith(f"{name}/"):
                yield from entry.papers


def _of_arguments(name: str, spec: Mapping[str, Any]) -> Iterator[str]:
    for ending, argument, value, key in ARGUMENTS:
        given = spec.get(argument)
        if name.endswith(ending) and given and value in (None, given):
            yield key


def mentioned(text: str) -> list[str]:
    """Keys of the papers whose arXiv numbers stand in `text`."""
    numbers = set(re.findall(r"arXiv:(\d{4}\.\d{4,5})", text))
    return [key for key, entry in entries().items() if any(f"{{{number}}}" in entry for number in numbers)]


def bibtex(keys: Iterable[str]) -> str:
    """The entries of `keys`, in order, an empty line between them."""
    return "\n\n".join(map(entry_of, keys))


def entry_of(key: str) -> str:
    """The BibTeX of a key; a paper that a plugin brings is its own entry."""
    return key if key.startswith("@") else entries()[key]


def check_papers(keys: Iterable[str]) -> tuple[str, ...]:
    """`keys`, once each of them is one of papers.bib or a BibTeX entry with an author, a year and a title.

    Raises:
        RecipeError: one is neither.
    """
    for key in (checked := tuple(keys)):
        if not key.startswith("@") and key not in entries():
            raise RecipeError(f"no paper {shown(key)} in papers.bib{suggest(key, entries())}; or give a BibTeX entry")
        if missing := [name for name in FIELDS if _found(entry_of(key), name) is None]:
            raise RecipeError(f"the BibTeX entry {shown(key)} has no {missing[0]} on a line of its own")
    return checked


@cache
def entries() -> dict[str, str]:
    """Key -> BibTeX entry."""
    text = Path(__file__).with_name("papers.bib").read_text(encoding="utf-8")
    return {_key(entry): entry for entry in text.strip().split("\n\n")}


def _key(entry: str) -> str:
    found = re.match(r"@\w+\{([\w:-]+),", entry)
    assert found, f"papers.bib: no key in {entry[:40]!r}"
    return found[1]


def short(key: str) -> str:
    """'Wu et al. 2020, Improving GAN Training with Probability Ratio Clipping and Sample Reweighting'."""
    entry = entry_of(key)
    authors = _field(entry, "author").split(" and ")
    names = [author.split(",")[0] for author in authors]
    who = names[0] + (" et al." if len(names) > 2 else f" and {names[1]}" if len(names) == 2 else "")
    return f"{who} {_field(entry, 'year')}, {_field(entry, 'title')}"


def _field(entry: str, name: str) -> str:
    found = _found(entry, name)
    assert found, f"papers.bib: no {name} in {entry[:40]!r}"
    return _plain(found[1])


def _found(entry: str, name: str) -> re.Match[str] | None:
    return re.search(rf"^\s*{name}\s*=\s*\{{(.*)\}},?$", entry, re.MULTILINE)


def _plain(text: str) -> str:
    """LaTeX accents as letters, braces dropped."""
    marks = {"'": "\u0301", '"': "\u0308"}
    text = re.sub(r"""\{?\\(['"])(\w)\}?""", lambda m: m[2] + marks[m[1]], text)
    return unicodedata.normalize("NFC", text.replace(r"{\l}", "ł").replace("{", "").replace("}", ""))
