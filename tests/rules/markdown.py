"""Code in Markdown: fenced blocks, and commands of genkit in them or between backticks."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
INLINE = re.compile(r"`([^`]+)`")


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, what it holds, and the last heading above it."""

    language: str
    text: str
    heading: str

    def commands(self) -> list[str]:
        """The lines of a shell block, comments included."""
        return [line for line in self.text.splitlines() if line.strip() and not line.startswith("#")]


def blocks(path: Path) -> list[Block]:
    """The fenced blocks of a file, in order."""
    text = path.read_text(encoding="utf-8")
    return [Block(found[1], found[2], _heading(text[: found.start()])) for found in FENCED.finditer(text)]


LINK = re.compile(r"\]\(([^)\s]+)\)")


def links(text: str) -> list[str]:
    """Where links and pictures point, outside blocks."""
    return LINK.findall(FENCED.sub("", text))


def anchors(text: str) -> set[str]:
    """The names that links give the headings of a file."""
    titles = re.findall(r"^#+ (.*)", FENCED.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.strip().lower()).replace(" ", "-") for title in titles}


def _heading(above: str) -> str:
    return (re.findall(r"^#+ (.*)", FENCED.sub("", above), re.MULTILINE) or [""])[-1]


def fenced_lines(text: str) -> list[str]:
    """The lines of all shell blocks."""
    return [line for found in FENCED.finditer(text) if found[1] == "sh" for line in found[2].splitlines()]


def inline_code(text: str) -> list[str]:
    """Texts between backticks, outside blocks, each in one line."""
    return [" ".join(code.split()) for code in INLINE.findall(FENCED.sub("", text))]


def genkit_commands(lines: list[str]) -> Iterator[list[str]]:
    """The words after `genkit` of every line that runs it."""
    for line in lines:
        words = shlex.split(line, comments=True) if re.match(r"genkit |accelerate |python -m genkit ", line) else []
        if "genkit" in words[:-1]:
            yield words[words.index("genkit") + 1 :]
