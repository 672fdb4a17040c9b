"""Citations: complete, well-formed, and what the docstrings say."""

from __future__ import annotations

import re

import pytest

from genkit.core.catalog import CATALOG, find
from genkit.core.papers import ARGUMENTS, bibtex, entries, papers_of, short
from genkit.core.table import TYPES

ENTRIES = {name: entry for names in CATALOG.values() for name, entry in names.items()}
NAMES = [name for kind in TYPES for name in CATALOG[kind]]
ARXIV = re.compile(r"arXiv:(\d{4}\.\d{4,5})")


@pytest.mark.parametrize("name", NAMES)
def test_papers_in_docstrings_are_cited(name: str) -> None:
    options = {key for ending, _, _, key in ARGUMENTS if name.endswith(ending)}
    cited = bibtex({*ENTRIES[name].papers, *options})
    assert [number for number in ARXIV.findall(find(name).__doc__ or "") if number not in cited] == []


def test_keys_and_entries_match() -> None:
    used = {key for entry in ENTRIES.values() for key in entry.papers} | {key for *_, key in ARGUMENTS}
    assert used == set(entries())


@pytest.mark.parametrize("key", entries())
def test_entries_are_well_formed(key: str) -> None:
    entry = entries()[key]
    assert entry.count("{") == entry.count("}") and entry.endswith("\n}")
    year = re.search(r"year\s*=\s*\{(\d{4})\}", entry)
    assert year and year[1] in key
    assert re.fullmatch(r"[^{}\\]+ \d{4}, [^{}\\]+", short(key)), short(key)
    author = re.split(r"\d", key)[0]
    assert short(key).lower().replace("ń", "n").replace("ä", "a").replace("ö", "o").startswith(author)


def test_nested_specs_and_single_settings() -> None:
    spec = {"type": "gan_training", "penalties": [{"type": "gradient_penalty", "sides": "one"}], "critic_steps": 5}
    assert papers_of(spec) == ["goodfellow2014gan", "arjovsky2017wgan", "gulrajani2017wgangp", "petzka2018lp"]
    spec["penalties"][0]["sides"] = "two"  # type: ignore[index]
    assert "petzka2018lp" not in papers_of(spec)
    critic = {"type": "resnet_critic", "spectral_norm": True, "classes": 10}
    assert {"miyato2018spectral", "miyato2018projection"} <= set(papers_of(critic))
    assert "miyato2018spectral" not in papers_of({**critic, "spectral_norm": False})


@pytest.mark.parametrize("name", [name for name in CATALOG["extractors"] if not name.endswith("-classifier")])
def test_extractors_are_cited(name: str) -> None:
    assert papers_of(name)
