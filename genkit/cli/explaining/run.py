"""A run of genkit explain train that goes on: what it keeps of its beginning, by which options are checked."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genkit.cli.explaining.begun import CLASSIFIER, EXPLAINED, classifier_in, kept_back, others_in, recipe_in
from genkit.cli.given_classifier import KEYS, GivenClassifier
from genkit.cli.own_recipe import lasting
from genkit.core.display import is_first_process
from genkit.core.errors import CheckpointError, RecipeError, shown
from genkit.core.files import cannot_write, held_in, write_atomically
from genkit.core.location import WEIGHTS

if TYPE_CHECKING:
    from genkit.data.dataset import DataSet
    from genkit.training.recipe import Recipe

ANSWERS = "answers"
WRITTEN = f".{CLASSIFIER}.tmp"
"""Its name while it is written."""
AGAIN = "go on with what it was begun with, or choose another --out"
KEPT = 0.2
"""Share of the images, at most, that is not trained on, for the page."""


class ExplainRun:
    """The run in a folder, if there is one.

    Attributes:
        out: its folder.
        recipe: its recipe; empty before it has begun.
        classifier: the configuration of its classifier; empty before it has begun.

    Raises:
        CheckpointError: there is a run, and it is not to be resumed, or the folder holds files of others.
        RecipeError: its recipe cannot be read.
    """

    def __init__(self, out: Path, resume: bool):
        from genkit.training.run_folder import RunFolder

        self.out = out
        folder = RunFolder(out)
        recipe_lost = resume and folder.step > 0
        if not folder.recipe.is_file() and not recipe_lost and (other := others_in(out)):
            raise CheckpointError(f"{out} holds {other} and no run; choose another --out, a new folder")
        self.recipe = recipe_in(out) if folder.holds_run(resume) else {}
        self.classifier: dict[str, Any] = classifier_in(out / CLASSIFIER, self.recipe) if self.recipe else {}

    @property
    def temperature(self) -> float:
        """That of the run's recipe, whatever images would say today; 0 before it has begun."""
        return float(self.recipe["system"]["generator"].get("temperature", 1)) if self.recipe else 0

    @property
    def balanced(self) -> bool:
        """Whether the run's training shows each class as often; False before it has begun."""
        return bool(self.recipe["train"].get("balanced", False)) if self.recipe else False

    @property
    def seed(self) -> int:
        """That of the run's training; 0 before it has begun."""
        return int(self.recipe["train"].get("seed", 0)) if self.recipe else 0

    def completed(self, asked: GivenClassifier, size: str | None) -> tuple[GivenClassifier, str | None]:
        """The classifier and the --size of its images, with the options that were left out as in the run.

        Raises:
            RecipeError: others were given.
        """
        if not self.classifier or not (asked.elsewhere or self.classifier.get("type") == "resized_classifier"):
            return asked, size
        own = int(self.classifier.get("size", size or 64))
        if size and int(size) != own:
            raise RecipeError(
                f"{self.out} was started with images of {own} pixels: leave --size out, or choose another --out"
            )
        source = self.classifier.get("source")
        if source and asked.elsewhere and source != asked.name:
            raise RecipeError(f"{self._began}, {source}: give that one, or choose another --out")
        if not asked.elsewhere:
            return asked, str(own)
        whole = asked.completed(self.classifier)
        meant = {k: list(v) if isinstance(v, tuple) else v for k, v in vars(whole.preprocessing(own)).items()}
        meant["class_names"] = list(whole.classes)
        for name, key in KEYS.items():
            if getattr(asked, name) and self.classifier.get(key) != meant[key]:
                option, kept = f"--{name.replace('_', '-')}", self.classifier.get(key) or "not given"
                typed = ",".join(map(str, kept)) if isinstance(kept, list) else kept
                raise RecipeError(
                    f"{self._began}, whose {option} is {typed}: leave {option} out, or choose another --out"
                )
        return whole, str(own)

    def own_weights(self, asked: GivenClassifier) -> Path | None:
        """The file in the run of an architecture that is named without one; raises RecipeError for another one."""
        from genkit.classifiers.library_classifier import is_architecture

        own = self.classifier.get("architecture")
        if own and is_architecture(asked.name) and own != asked.name:
            raise RecipeError(f"{self._began}, {own}: give that one, or choose another --out")
        return self.out / CLASSIFIER / WEIGHTS if own == asked.name and asked.weights is None else None

    @property
    def _began(self) -> str:
        return f"{self.out} was started with another classifier"

    def check_classifier(self, classifier: Any) -> None:
        """Raises RecipeError for another classifier than that of the run."""
        from genkit.classifiers.own_classifier import changed
        from genkit.core.pretrained import described

        if not self.classifier:
            return
        now = described(classifier)
        other = _other_key(self.classifier, now)
        if other or not self._holds_weights_of(classifier):
            of = f" ({other} {shown(self.classifier.get(other))})" if other and other != "weights" else ""
            raise RecipeError(f"{self._began}{of} or other weights of it: give the same one, or choose another --out")
        if not _answer_alike(self.classifier, now):
            raise RecipeError(f"{changed(classifier.source)}, with another --out")

    def _holds_weights_of(self, classifier: Any) -> bool:
        """Whether the tensors in the run, of a classifier that has some of its own, are those of `classifier`."""
        from genkit.core.fingerprint import weights_fingerprint
        from genkit.core.pretrained import Pretrained

        if not classifier.state_dict():
            return True
        kept: Any = Pretrained.from_pretrained(self.out / CLASSIFIER)
        return weights_fingerprint(kept) == weights_fingerprint(classifier)

    def check_place(self) -> None:
        """Raises CheckpointError where a new run would overwrite what no start of a run has left behind."""
        folder = self.out / CLASSIFIER
        if self.recipe or not os.path.lexists(folder) or _is_empty(folder) or (folder / EXPLAINED).is_file():
            return
        raise CheckpointError(f"{folder} is there and no run; choose another --out")

    @contextmanager
    def alone(self) -> Iterator[None]:
        """A block in which no other process begins, or goes on with, a run in this folder.

        Raises:
            CheckpointError: one does, or has begun one since this one looked.
        """
        from genkit.training.run_folder import RunFolder

        if not is_first_process():
            yield
            return
        with RunFolder(self.out).locked():
            if RunFolder(self.out).holds_run(resume=True) and not self.recipe:
                raise CheckpointError(f"{self.out} holds a run now, begun by another process; choose another --out")
            yield

    def named(self, name: str) -> str:
        """The name of the classifier in the recipe: its folder in the run; `name` in an old one, which has none."""
        return lasting(name) if self.recipe and not self.classifier else os.path.abspath(self.out / CLASSIFIER)

    def keep(self, classifier: Any, explained: DataSet | None) -> None:
        """Writes the classifier of a run that begins, and a record of the images that are kept for its page."""
        if is_first_process() and not self.recipe:
            self._write_at_once(classifier, explained, self.out / CLASSIFIER)

    def _write_at_once(self, classifier: Any, explained: DataSet | None, folder: Path) -> None:
        """So that what is stopped meanwhile leaves no half of it, and the next start replaces what it left."""
        from genkit.training.data_record import data_record

        written = self.out / WRITTEN
        try:
            shutil.rmtree(written, ignore_errors=True)
            classifier.save_pretrained(written)
            record = data_record(explained) if explained else {}
            write_atomically(written / EXPLAINED, json.dumps(record).encode())
            shutil.rmtree(folder, ignore_errors=True)
            written.rename(folder)
        except OSError as failure:
            raise cannot_write(folder, failure) from failure
        finally:
            shutil.rmtree(written, ignore_errors=True)

    def follow(self, reference: str, dry_run: bool = False) -> None:
        """Names the classifier by where the run lies now: it was moved, or is a copy."""
        from genkit.training.recipe import Recipe
        from genkit.training.run_folder import RunFolder

        if not self.classifier:
            return
        named = self.recipe["system"]["generator"]["classifier"]
        if named["weights"] != reference:
            named["weights"] = reference
            if is_first_process() and not dry_run:
                RunFolder(self.out).keep(Recipe.from_dict(self.recipe))

    def check_asked(self, seed: int, steps: int | None) -> None:
        """Raises CheckpointError for what words alone show: a seed, or a length, with which the run cannot go on."""
        from genkit.training.run_folder import RunFolder

        if seed != self.seed and self.recipe:
            raise CheckpointError(f"{self.out} was begun with --seed {self.seed}; {AGAIN}")
        done = RunFolder(self.out).step
        if steps and steps < done:
            raise CheckpointError(f"{self.out} has done {done:,} iterations already: leave --steps out, or give more")

    def check_recipe(self, recipe: Recipe) -> None:
        """Raises CheckpointError for a recipe with which a run that has begun cannot go on."""
        from genkit.core.documents import parse_yaml
        from genkit.training.continuing import in_a_line, refused, with_todays_defaults

        if other := refused(with_todays_defaults(self.recipe), parse_yaml(recipe.to_yaml())):
            raise CheckpointError(f"{self.out} was begun with other options ({in_a_line(other)}); {AGAIN}")

    def check_images(self, spec: Mapping[str, Any], images: DataSet, record: str = "data.json") -> None:
        """Raises CheckpointError where `spec`, all or a part of `images`, is not what the run has a record of."""
        from genkit.core.documents import read_mapping
        from genkit.evaluation.real_data import open_data
        from genkit.training.data_record import changes_among, data_changes, data_record

        known = read_mapping(self.out / record) if self.recipe else {}
        if not known or not data_changes(known, data_record(open_data(spec, tuple(images.sample_shape), "DATA"))):
            return
        changes = changes_among(known, data_record(images))
        raise CheckpointError(f"the images have changed since {self.out} was begun ({changes}); {AGAIN}")

    def parts(self, spec: Mapping[str, Any], images: DataSet, n: int, seed: int, against: bool) -> tuple[Any, Any]:
        """Data to train on, and others for the page: a fifth at most; all for both where that would be too few.

        Args:
            spec: of `images`.
            n: images that are searched.
            against: whether others are explained.

        Raises:
            CheckpointError: the run was begun with others, or with others to explain that are not given now.
        """
        from genkit.cli.refine_recipe import part

        share = _share(len(images), n)
        began = self.recipe.get("data", spec if against else part(spec, share, 1.0, seed) if share else spec)
        if began != spec and kept_back(self.out, began):
            low, seed = began["low"], began["seed"]
            taught, kept = part(spec, low, 1.0, seed), part(spec, 0.0, low, seed)
            self.check_images(taught, images)
            if not against:
                self.check_images(kept, images, f"{CLASSIFIER}/{EXPLAINED}")
            return taught, kept
        self.check_images(spec, images)
        if self.recipe and share and not against:
            raise CheckpointError(f"{self.out} was started with --against, and trained on all of DATA: give it again")
        return spec, spec


def _other_key(one: Mapping[str, Any], other: Mapping[str, Any]) -> str | None:
    """The first key of which two configurations of classifiers differ, answers left aside."""
    return next((key for key in {**one, **other} if key != ANSWERS and one.get(key) != other.get(key)), None)


def _answer_alike(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two configurations of classifiers have like answers, or one knows of none."""
    from genkit.classifiers.own_classifier import alike

    first, second = one.get(ANSWERS), other.get(ANSWERS)
    return not first or not second or alike(first, second)


def _is_empty(folder: Path) -> bool:
    return folder.is_dir() and not held_in(folder)


def _share(count: int, n: int) -> float:
    """Share of `count` images that is kept back; 0 where that would be too few."""
    from genkit.explain.checks import LEAST

    kept = min(int(KEPT * count), 2 * n)
    return kept / count if kept >= 2 * LEAST else 0.0
