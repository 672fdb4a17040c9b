"""The small GAN that genkit outliers trains on the images themselves, until it knows noise that was planted in them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from genkit.cli.console import progress
from genkit.core.errors import GenkitError, TrainingError
from genkit.core.interruption import RunEnded
from genkit.training.watcher import TrainingWatcher

if TYPE_CHECKING:
    from genkit.core.crew import Crew
    from genkit.core.display import Display
    from genkit.evaluation.outliers import Game, Ranking
    from genkit.training.recipe import Recipe

RECIPE = "digits/robust_wgan_closed_form"
ROUNDS = tuple(range(200, 1601, 200))
"""Iterations after which the ranking is tried, where no number is given."""
LEAST = 50
"""Images from which a generator can learn something."""
OWN_RUN = "train a run, which can go on, and give it with --against"
PLANTED, PLANTED_SHARE = 5, 0.01
"""Images of noise among those of the training, at least, and as a share of them."""


class ProgressAlone(TrainingWatcher):
    """Of a training in a folder that goes away: what it says of its files is of no use."""

    def note(self, line: str) -> None: ...


def ranked(
    spec: dict[str, Any], items: Any, share: float, training: dict[str, int], shown: Display, crew: Crew
) -> Ranking:
    """The images of `spec` by the critic of a small GAN that is trained on them, and on some noise that is planted.

    The critic's real samples all weigh the same, since of what has lost its weight it learns little. It is trained in
    rounds until the planted noise comes first, by the scores of all rounds together; the best of these rankings counts.

    Args:
        items: the data of `spec`.
        training: size, steps and seed; `steps` is one round of that many iterations.
    """
    from genkit.evaluation.outliers import averaged, rank_outliers

    if len(items) < LEAST:
        few = f"{items.name} has {len(items)} images; a generator learns from {LEAST} or more"
        raise GenkitError(f"{few}; give a run that knows such images with --against")
    kept, best = list["Ranking"](), None
    rounds = (training["steps"],) if "steps" in training else ROUNDS
    planted = max(PLANTED, round(PLANTED_SHARE * len(items)))
    longer = {"type": "with_noise", "data": spec, "count": planted, "seed": training.get("seed", 0)}
    recipe = replace(_recipe(items.sample_shape, training), data=longer)
    noise = recipe.build_data().taken("noise", slice(len(items), None))
    for steps, game in _rounds(recipe, rounds, items.name, shown, crew):
        kept.append(rank_outliers(game, items, share, progress(shown, "judging", "image"), crew, noise))
        made = averaged(kept)
        place = made.noise_rank or 1
        best = made if best is None or place < (best.noise_rank or 1) else best
        if not made.doubt:
            return made
        if steps < rounds[-1]:
            shown.note(
                f"noise that was planted comes as number {place:,} of {len(items):,} yet: training on, from {steps:,} "
                f"to {rounds[-1]:,} iterations at most"
            )
    assert best is not None
    return best


def _rounds(
    recipe: Recipe, rounds: tuple[int, ...], name: str, shown: Display, crew: Crew
) -> Iterator[tuple[int, Game]]:
    """The game after each round; its run lies in a folder of the first process that goes away."""
    from genkit.training import train
    from genkit.training.start import trained_system

    with TemporaryDirectory() as folder:
        run = Path(crew.broadcast(folder)) / "run"
        for steps in rounds:
            longer = replace(recipe, train=replace(recipe.train, steps=steps))
            try:
                train(longer, run, resume=steps != rounds[0], watcher=ProgressAlone(shown))
            except RunEnded as ended:
                ended.advice = f"nothing is kept; begin again, or {OWN_RUN}"
                raise
            except TrainingError as diverged:
                raise GenkitError(
                    f"the small GAN on {name} diverged; try another --seed, or give a run with --against"
                ) from diverged
            game: Any = longer.build_system() if crew.rank else trained_system(run)[1]
            game.load_state_dict(crew.broadcast({} if crew.rank else game.state_dict()))
            yield steps, on_device(game.eval())


def on_device(game: Any) -> Game:
    """The game where networks run."""
    from genkit.core.computing import computing

    return game.to(computing().device)  # type: ignore[no-any-return]


def _recipe(sample_shape: tuple[int, ...], training: dict[str, int]) -> Recipe:
    from genkit.training.recipe import Recipe

    channels, size, _ = sample_shape
    changes = {
        "system.generator.network.size": size,
        "system.generator.network.channels": channels,
        "system.critic.size": size,
        "system.critic.channels": channels,
        "system.real_weighting": "null",
        "train.seed": training.get("seed", 0),
        "train.trackers": "[]",
        "every": "{log: 10, grid: 0, checkpoint: 0}",
    }
    return Recipe.load(RECIPE, [f"{key}={value}" for key, value in changes.items()])
