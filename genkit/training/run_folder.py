"""A run folder: its files, its lock, and the record of how it was started."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

from genkit.core.documents import Unreadable, parse_yaml, read_mapping, read_yaml
from genkit.core.errors import CheckpointError
from genkit.core.files import only_writer, remove_leftovers, write_atomically
from genkit.core.location import CONFIG, RECIPE, among_files_of, sha256_of_weights
from genkit.images.listing import first_image
from genkit.training.checkpoint import complete, newest_good, step_of, tidy
from genkit.training.continuing import OtherRun, check_recipe, environment_changes, in_a_line, with_todays_defaults
from genkit.training.data_record import changes_since
from genkit.training.environment import environment
from genkit.training.recipe import Recipe
from genkit.training.recipe_file import as_written_today
from genkit.training.rollback import ended, falls_of
from genkit.training.unfinished import DATA

REREAD, HEAD = b'http-equiv="refresh"', 400
"""Found in the first bytes of the report of a run under way."""


class Written(Protocol):
    """A recipe, of one training or of several."""

    def to_yaml(self) -> str: ...


class RunFolder:
    """Paths inside a run, and checks that it goes on with its own recipe and data."""

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self.recipe = self.path / RECIPE
        self.metrics = self.path / "metrics.jsonl"
        self.checkpoints = self.path / "checkpoints"
        self.best = self.path / "best.json"
        self.weights = self.path / "weights"
        self.card = self.weights / "README.md"
        self.grids = self.path / "grids"
        self.samples = self.path / "samples.png"
        self.scores = self.path / "scores.json"
        self.report = self.path / "report.html"
        self.environment = self.path / "environment.json"
        self.history = self.path / "history.json"
        self.data = self.path / DATA
        self.so_far = self.path / "scores_so_far.json"
        self.real = self.path / "real.png"
        self.files = self.path / "files.csv"
        self.start = self.path / "start.json"

    def grid(self, step: int) -> Path:
        return self.grids / f"{step:08d}.png"

    def check(self, recipe: Recipe, resume: bool, start: str | None = None) -> list[str]:
        """Allowed changes of `recipe` from that of the run here, as `key.path: old -> new`.

        Raises:
            CheckpointError: there is a run already and `resume` is false, or it is of another recipe or start.
        """
        if not self.holds_run(resume):
            return []
        changes = check_recipe(self._kept(), parse_yaml(recipe.to_yaml()), self.step, self.path)
        if start and start != self.started_from:
            began = f"from {self.started_from}" if self.started_from else "without --from"
            raise CheckpointError(f"{self.path} was started {began}; leave --from out, or choose another --out")
        return changes

    @property
    def step(self) -> int:
        """The iteration of the newest checkpoint, 0 without one."""
        done = complete(self.checkpoints)
        return step_of(done[-1]) if done else 0

    def holds_run(self, resume: bool) -> bool:
        """Whether there is a run already.

        Raises:
            CheckpointError: there is one and may not be, no folder can be, files of others would be overwritten, or
                another run could overwrite those of this one.
        """
        if self.path.exists() and not self.path.is_dir():
            raise CheckpointError(f"{self.path} is a file; a run needs a folder")
        if self.recipe.is_file() and not resume:
            raise CheckpointError(
                f"{self.path} holds a run already; go on with --resume (Python: resume=True) or choose another --out"
            )
        if resume and not self.recipe.is_file() and complete(self.checkpoints):
            raise CheckpointError(
                f"{self.path} has checkpoints and no {self.recipe.name}, so nobody can say of what; put it back, or "
                "choose another --out"
            )
        if not self.recipe.is_file() and (other := self._others()):
            raise CheckpointError(
                f"{self.path} holds {other.name} and no {self.recipe.name}, so it is of no run, which would overwrite "
                "it; choose another --out"
            )
        if not self.recipe.is_file() and (image := first_image(self.path)):
            raise CheckpointError(f"{self.path} holds images, such as {image}, and no run; choose another --out")
        if not self.recipe.is_file() and (host := among_files_of(self.path)):
            raise CheckpointError(f"{self.path} lies in the run {host}, which may replace it; choose another --out")
        return self.recipe.is_file()

    def _others(self) -> Path | None:
        """A file or folder where a run writes after its recipe, or in place of a record that it writes before."""
        after = (self.metrics, self.best, self.scores, self.samples, self.report, self.history, self.real, self.files)
        folders = ((self.weights, "*"), (self.grids, "[0-9]*.png"))
        records = (
            (self.data, ("name", "fingerprint", "classes")),
            (self.environment, ("versions",)),
            (self.start, ("from", "sha256")),
        )
        found = (
            *(path for path in after if path.exists()),
            *(path for path, pattern in folders if any(path.glob(pattern))),
            *(path for path, keys in records if path.exists() and not read_mapping(path).keys() >= {*keys}),
        )
        return next(iter(found), None)

    def check_there(self) -> None:
        """Raises CheckpointError where the folder was moved or deleted while the run was under way."""
        if not self.recipe.is_file():
            raise CheckpointError(
                f"{self.path} was moved or deleted while it was trained; put it back and go on with --resume"
            )

    def _kept(self) -> dict[str, Any]:
        """The run's recipe, brought up to today's keys; raises CheckpointError."""
        return with_todays_defaults(as_written_today(self.written()))

    def written(self) -> dict[str, Any]:
        """The run's recipe as its file has it.

        Raises:
            CheckpointError: it cannot be read.
        """
        try:
            tree = read_yaml(self.recipe)
        except Unreadable as damage:
            raise CheckpointError(f"{self.recipe} cannot be read, so the run cannot go on safely") from damage
        return tree if isinstance(tree, dict) else {}

    @property
    def started_from(self) -> str | None:
        """Name of the weights that the run was started from, if any."""
        return read_mapping(self.start).get("from")

    def open(self, recipe: Recipe, resume: bool, start: str | None = None) -> list[str]:
        """Prepares a new run, or the one here for going on; see `check`. A new one counts once `keep` is called."""
        changes = self.check(recipe, resume, start)
        for folder in (self.path, self.grids, self.weights):
            remove_leftovers(folder)
        if not self.recipe.is_file():
            self.start.unlink(missing_ok=True)
        if start and not self.start.is_file():
            write_atomically(self.start, json.dumps({"from": start, "sha256": sha256_of_weights(start)}).encode())
        return changes

    def keep(self, recipe: Written) -> None:
        """Writes the recipe that the run goes on with, after all checks."""
        write_atomically(self.recipe, recipe.to_yaml().encode())

    def discard_results(self) -> bool:
        """Removes results of a finished training, outdated once it goes on; returns whether there were any."""
        reported = [self.report] if self.reported else []
        there = [path for path in (self.weights / CONFIG, self.samples, self.scores, *reported) if path.is_file()]
        for path in there:
            path.unlink()
        shutil.rmtree(self.weights, ignore_errors=True)
        return bool(there)

    def locked(self) -> AbstractContextManager[None]:
        """Refuses a second process in the same run.

        Raises:
            CheckpointError: it is being trained already, or cannot be written.
        """
        return only_writer(self.path, "training in")

    def start_again(self) -> str | None:
        """The weights to start from where no checkpoint has been written yet.

        Raises:
            CheckpointError: they have changed since the run was started.
        """
        known = read_mapping(self.start)
        if known and sha256_of_weights(known["from"]) != known.get("sha256"):
            raise CheckpointError(
                f"{known['from']} has changed since {self.path} was started from it; choose another --out"
            )
        return known.get("from")

    def remember(self, step: int, facts: Mapping[str, Any], recipe_changes: Sequence[str]) -> list[str]:
        """Records the environment of a run that begins or goes on at iteration `step`; returns the changes, one a line.

        environment.json is that of the beginning, history.json has an entry for each time that anything changed.
        """
        now = {**environment(), **facts}
        known = read_mapping(self.environment)
        if not known:
            write_atomically(self.environment, json.dumps(now, indent=2).encode())
            return []
        history = self._changes()
        changed = environment_changes(history[-1]["environment"] if history else known, now)
        if changed or recipe_changes:
            entry = {"iteration": step, "recipe": list(recipe_changes), "changed": changed, "environment": now}
            write_atomically(self.history, json.dumps({"changes": [*history, entry]}, indent=2).encode())
        changes = {"the recipe": recipe_changes, "the environment": changed}
        return [
            f"{what} has changed at iteration {step:,}: {in_a_line(lines)}" for what, lines in changes.items() if lines
        ]

    def _changes(self) -> list[dict[str, Any]]:
        """The entries of history.json that can be read."""
        found = read_mapping(self.history).get("changes", [])
        entries = [entry for entry in found if isinstance(entry, dict)] if isinstance(found, list) else []
        return [entry for entry in entries if isinstance(entry.get("environment"), dict)]

    def check_data(self, record: Mapping[str, Any], fingerprint: str | None) -> None:
        """Keeps the record of the data of a new run; compares it with that of a run that goes on.

        The same data may have another name than before: their content is compared.

        Args:
            record: see genkit.training.data_record.
            fingerprint: of the data that the checkpoint was trained on; None for a run that begins.

        Raises:
            OtherRun: the data have changed; names the changes.
        """
        if changes := changes_since(fingerprint, read_mapping(self.data), record):
            raise OtherRun(
                f"the data have changed since {self.path} was stopped ({changes}); put them back to go on, or start a "
                f"new run from its weights with genkit train --from {self.path} and another --out",
                f"other data: {changes}",
            )
        write_atomically(self.data, json.dumps(record).encode())

    def go_on_from(self, resume: bool, note: Callable[[str], None]) -> Path | None:
        """The newest good checkpoint, of which `note` is told those that are not; None without one, or for a new run.

        Raises:
            CheckpointError: there is none, and finished weights, which a training from the beginning would replace.
        """
        tidy(self.checkpoints)
        found = newest_good(self.checkpoints, note) if resume else None
        if resume and found is None and self.ended:
            raise CheckpointError(
                f"{self.path} holds finished weights and no whole checkpoint to go on from; start a new run from them "
                f"with genkit train --from {self.path} and another --out"
            )
        return found

    def trained(self, recipe: Recipe) -> bool:
        """Whether the last iteration is done, or the run ended before it."""
        return self.step == recipe.train.steps or ended(falls_of(self.checkpoints), recipe.rollback)

    @property
    def reported(self) -> bool:
        """Whether the report is that of a run at its end: the page of one under way is read again by a browser."""
        try:
            with open(self.report, "rb") as page:
                return REREAD not in page.read(HEAD)
        except OSError:
            return False

    def finished(self, recipe: Recipe) -> bool:
        """Whether a run of just this recipe has nothing left to do."""
        there = self.ended and (self.scores.is_file() or not recipe.evaluate)
        return there and (self.trained(recipe) or not complete(self.checkpoints)) and self._holds(recipe)

    @property
    def ended(self) -> bool:
        """Whether the results of a run that came to its end are here, whatever became of its checkpoints."""
        return self.reported and (self.weights / CONFIG).is_file()

    def _holds(self, recipe: Recipe) -> bool:
        try:
            return self._kept() == parse_yaml(recipe.to_yaml())
        except (CheckpointError, Unreadable):
            return False
