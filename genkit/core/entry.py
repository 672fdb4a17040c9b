"""One row of the table of names."""

from __future__ import annotations

from typing import NamedTuple


class Entry(NamedTuple):
    """The entry of a name: its target, description and papers.

    Attributes:
        target: "package.module:name"; imported when it is first used.
        about: one line for `genkit list`.
        papers: keys of papers.bib, or BibTeX entries themselves; () for none.
    """

    target: str
    about: str
    papers: tuple[str, ...] = ()


Entries = dict[str, dict[str, Entry]]
"""kind -> name -> entry."""
