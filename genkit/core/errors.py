"""Errors that a person can act on: one line with the value got, the accepted ones and advice."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from itertools import islice
from pathlib import Path

LINE, WORD, VALUE = 1200, 300, 60
"""Characters that a message, a word of one, and a value in one have at most."""


def one_line(message: str) -> str:
    """`message` as one printable line of bounded length; the middle of a long one is cut out.

    Control characters and lone surrogates, as file names may hold, are written as Python escapes them.
    """
    message = _cut(message, 100 * LINE)
    plain = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in " ".join(message.splitlines()))
    words = (_cut(word, WORD) if len(word) > WORD else word for word in re.split("( +)", plain))
    return _cut("".join(words).strip(), LINE)


def shown(value: object) -> str:
    """`value` as Python writes it, cut after 60 characters."""
    start = value[: VALUE + 1] if isinstance(value, str) else value
    try:
        text = repr(start)
    except (ValueError, RecursionError):  # an integer of thousands of digits, a deep nest
        return f"{kind_of(value)} too large to show"
    return text if len(text) <= VALUE else f"{text[: VALUE - 3]}..."


AN = re.compile(r"[aeio]|u(?!n[ei]|se)|[AEIO]|U(?!n[ei]|se|[A-Z])|[FHLMNRSX][A-Z]")
"""Beginnings of names that are spoken with a vowel: Edited, Upsampler and MLPCritic, not UNet."""


def with_article(name: str) -> str:
    """'an edited', 'a GAN'."""
    return f"{'an' if AN.match(name) else 'a'} {name}"


def kind_of(value: object) -> str:
    """'an EnergyNetwork', 'a list': the type of `value` with its article; a class is its own, None is 'nothing'."""
    if value is None:
        return "nothing"
    return with_article((value if isinstance(value, type) else type(value)).__name__)


def first_line(error: BaseException) -> str:
    """The first line of an error's message, some 120 characters, cut between words; its type if it has none.

    A line that ends with a colon, as torch's on weights that do not fit, is a title: what follows belongs to it.
    """
    line, *rest = [part for row in str(error).splitlines() if (part := row.strip())] or [type(error).__name__]
    while rest and line.endswith(":"):
        line = f"{line} {rest.pop(0)}"
    return line if len(line) <= 120 else f"{line[:120].rpartition(' ')[0] or line[:120]}..."


def _cut(text: str, most: int) -> str:
    if len(text) <= most:
        return text
    note = f"...({len(text):,} characters)..."
    return f"{text[: most * 3 // 4 - len(note)]}{note}{text[-most // 4 :]}"


class GenkitError(ValueError):
    """Input that cannot be used. The command line prints its message, one line of bounded length, and exits with 2."""

    def __init__(self, message: str = "") -> None:
        super().__init__(one_line(str(message)))


class ConditionError(GenkitError):
    """A condition that the generator does not take, or a value outside its range."""


class RecipeError(GenkitError):
    """A recipe, configuration or override that cannot be built; the message starts with the key's path."""


class DataError(GenkitError):
    """Images, points or labels that cannot be used; the message names the file or the index."""


class WeightsError(GenkitError):
    """A weights folder or foreign checkpoint that is missing, damaged, unsafe or of another kind."""


class CheckpointError(GenkitError):
    """A run folder that cannot be written or resumed."""


class TrainingError(GenkitError):
    """Training that cannot go on."""


class BadState(TrainingError):
    """A useless state of training, such as a loss that is not finite; a run may go back to before it.

    It must be raised in all processes alike, so decided by numbers of the whole batch or by shared weights.

    Attributes:
        why: what is wrong.
        step: the iteration that it came in, from 0; None where that is the one under way.
    """

    def __init__(self, why: str = "", step: int | None = None) -> None:
        super().__init__(why)
        self.why, self.step = why, step

    def __str__(self) -> str:
        return self.why if self.step is None else f"iteration {self.step:,}: {self.why}"


class EvaluationError(GenkitError):
    """A score that would be undefined or misleading for the given sets."""


class UnfinishedRun(UserWarning):
    """Weights were taken from a checkpoint of a run that has not finished; the message says of which iteration."""


class BeyondTraining(UserWarning):
    """A condition asks for a number that nothing was learned of; the message names it."""


class MissingLetters(UserWarning):
    """No font of this machine has letters of a text on a picture; the message names them."""


class BrokenPlugin(UserWarning):
    """An installed package says that it extends genkit, and fails to; the message names it."""


BEGUN = 3
"""Letters from which on a name that begins with them may be meant."""
LISTED = 60
"""Names that a message lists; nobody reads more."""
LOOKED_THROUGH = 5000
"""Names in a folder among which a misspelt one is looked for: some tenths of a second."""


def some(names: Sequence[str], most: int = 8) -> str:
    """The first `most` of some names, and a sign of those left out: 'a, b, ...'."""
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")


def suggest(got: object, accepted: Iterable[str]) -> str:
    """'; did you mean 'x'?' for the nearest accepted name, first of those that begin so; else the accepted names."""
    names = sorted(accepted)
    text = "" if got is None else got[:LINE] if isinstance(got, str) else shown(got)
    longer = [name for name in names if len(text) >= BEGUN and name.startswith(text)]
    near = get_close_matches(text, longer or names, n=1, cutoff=0.0 if longer else 0.6) if text else []
    if near:
        return f"; did you mean {near[0]!r}?"
    if len(names) > LISTED:
        return f"; none of the {len(names)} accepted names is like it"
    return f"; accepted: {', '.join(names) if names else 'none'}"


def suggest_file(path: str | Path) -> str:
    """'; did you mean 'Photos.zip'?' for the nearest name beside a path that does not exist; else ''.

    In any case, and with or without its suffix.
    """
    path = Path(path)
    try:
        with os.scandir(path.parent) as entries:
            names = sorted(entry.name for entry in islice(entries, LOOKED_THROUGH))
    except (OSError, ValueError):
        return ""
    seen = [name for name in names if not name.startswith(".")]
    beside = {Path(name).stem.lower(): name for name in seen} | {name.lower(): name for name in seen}
    near = get_close_matches(path.name.lower(), beside, n=1, cutoff=0.8)
    return f"; did you mean {shown(str(path.with_name(beside[near[0]])))}?" if near else ""
