"""genkit refine: from a generator and real samples to a generator of better samples."""

from __future__ import annotations

import json
from contextlib import AbstractContextManager, nullcontext
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from genkit.cli.computing_options import on_device
from genkit.cli.console import display, heading, say, table, warn
from genkit.cli.launch import crew_of_launch, join_launch
from genkit.cli.own_recipe import called, train_once
from genkit.cli.places import (
    ABOUT_DATA,
    ABOUT_WEIGHTS,
    COUNT,
    DATA,
    FOLDER,
    SEED,
    WEIGHTS,
    Writing,
    loaded,
    skip_bad_option,
)
from genkit.cli.refine_recipe import CALIBRATED, TRAINED, advice, critic_of, part, refine_recipe
from genkit.cli.refinement import Refinement, SeenBefore, checked, leak, seen_before
from genkit.cli.sampler_options import SAMPLERS, SOLVERS, Number, configured
from genkit.core.documents import json_of_result
from genkit.core.errors import GenkitError, kind_of
from genkit.core.files import check_own_folder, write_atomically

if TYPE_CHECKING:
    from genkit.core.crew import Crew
    from genkit.core.generator import Generator
    from genkit.posthoc.rejection.density_ratio import DensityRatio
    from genkit.posthoc.rejection.fitting import Fitted
    from genkit.posthoc.rejection.sampler import RatioSampler

RATIOS = ("keep", "head", "fresh", "platt", "isotonic", "raw")
HELD_OUT, STEPS = 0.2, 2000
GENERATOR = "generator"
TRAINING, PROPOSALS, REPORT = "training", "proposals", "refinement.json"
BEGUN, FINISHED = (TRAINING, PROPOSALS), ("config.json", "model.safetensors", "README.md", REPORT)
"""Parts of a folder of refined weights: from the start, and in the end."""


@click.command("refine", cls=Writing, epilog=f"{ABOUT_WEIGHTS} {ABOUT_DATA}")
@click.argument("weights", type=WEIGHTS)
@click.option("--data", type=DATA, required=True, help="Real samples, such as WEIGHTS were trained on.")
@click.option(
    "--held-out",
    type=DATA,
    help="Real samples to judge on; the first half chooses a checkpoint or calibrates. A fifth of --data if not said.",
)
@click.option(
    "--out", type=FOLDER, required=True, help=f"Folder of the new weights; {TRAINING} in it is the ratio's run."
)
@click.option("--ratio", type=click.Choice(RATIOS), help="Where the ratio comes from; keep, or fresh without a critic.")
@click.option("--features", type=WEIGHTS, help="Of --ratio head: what it reads, such as a classifier; else the critic.")
@click.option("--sampler", type=click.Choice(SAMPLERS), default="rejection", show_default=True, help="What uses it.")
@click.option(
    "--rate",
    type=Number(0, 1, min_open=True, max_open=True),
    help="Rejection: share of the samples that is kept; 0.2 if not said.",
)
@click.option("--percentile", type=Number(0, 100), help="Rejection: the paper's threshold, 80 to 95, instead.")
@click.option("--gamma", type=Number(-1e6, 1e6), help="Rejection: the threshold itself; 0 is exact.")
@click.option(
    "--burn-in",
    "samples",
    type=click.IntRange(2, 100_000_000),
    help="Rejection: samples that find the threshold; 10,000 if not said.",
)
@click.option("--chain", "steps", type=COUNT, help="mh: samples that a chain sees; ddls, dot: moves of a latent.")
@click.option("--step-size", type=Number(0, 1000, min_open=True), help="ddls, dot: of each move; 0.01 if not said.")
@click.option("--steps", "training", type=COUNT, help=f"Of the training of the ratio; {STEPS:,} if not said.")
@click.option("--sampling-steps", help="Of WEIGHTS, a diffusion or VAEBM: as --steps of genkit sample, from now on.")
@click.option("--solver", type=click.Choice(SOLVERS), help="Of WEIGHTS, a diffusion: as of genkit sample, from now on.")
@click.option("--seed", type=SEED, default=0, show_default=True, help="Of training, burn-in and choice of samples.")
@click.option("--resume", is_flag=True, help="Go on with the training in the folder; start it when there is none.")
@skip_bad_option
@on_device
def command(
    weights: str,
    data: str,
    held_out: str | None,
    out: Path,
    ratio: str | None,
    features: str | None,
    sampler: str,
    training: int | None,
    sampling_steps: str | None,
    solver: str | None,
    seed: int,
    resume: bool,
    skip_bad: bool,
    **settings: Any,
) -> None:
    """Make WEIGHTS give better samples, by the ratio of the densities of real samples and of theirs.

    The ratio is read off a critic. keep: that of the run goes on learning against the finished generator; head: a new
    head on its features, or on those of a classifier (--features); fresh: a new critic; platt, isotonic: its scores are
    calibrated; raw: as they are. Then samples are rejected, or chosen by chains (mh), or their latents move uphill
    (ddls, dot).
    """
    from genkit.core.generator import Generator
    from genkit.evaluation.real_data import check_data

    generator = _sampled_by(loaded(Generator, weights), solver, sampling_steps)
    shape = tuple(generator.sample_shape)
    real = dict(check_data(data, shape, "--data", skip_bad) or {})
    judged = dict(check_data(held_out, shape, "--held-out", skip_bad) or {}) if held_out else {}
    kind = ratio or ("head" if features else "keep" if critic_of(weights) else "fresh")
    if features and kind != "head":
        raise GenkitError(f"--features are read by --ratio head, and not by {kind}; leave one of them out")
    taught = real if judged else part(real, 0.0, 1 - HELD_OUT, seed)
    judged = judged or part(real, 1 - HELD_OUT, 1.0, seed)
    looks = part(judged, 0.0, 0.5, seed)
    judged = part(judged, 0.5, 1.0, seed) if kind in TRAINED else judged
    changed = solver is not None or sampling_steps is not None
    asked = Refinement(weights, generator, changed, kind, features, taught, looks, judged, sampler, settings, out, seed)
    _check_place(out, kind in TRAINED)
    density = checked(asked)
    if kind not in TRAINED and (training or resume):
        raise GenkitError(
            f"--{'steps' if training else 'resume'} is of a ratio that is trained ({', '.join(TRAINED)}); "
            f"{kind} needs no training"
        )
    seen = seen_before(asked, held_out is None)
    join_launch()
    crew = crew_of_launch()
    if not crew.rank:
        warn(list(leak(asked, seen, held_out is None)))
    with _keeping(asked):
        former = density if kind == "keep" else None
        if kind in TRAINED:
            density = _trained(asked, training or STEPS, resume, crew)
        _finish(asked, density, former, seen, crew)


def _sampled_by(generator: Generator, solver: str | None, steps: str | None) -> Generator:
    from genkit.posthoc.rejection.sampler import RatioSampler

    given = {"solver": solver, "steps": steps}
    if isinstance(generator, RatioSampler) and any(value is not None for value in given.values()):
        raise GenkitError(f"--sampling-steps and --solver are for diffusion models; this is {kind_of(generator)}")
    return configured(generator, given, "--sampling-steps")


def _check_place(out: Path, trained: bool) -> None:
    """Raises WeightsError for a folder that holds anything but a refinement that may go on."""
    begun = {*BEGUN, *(folder.name for folder in out.glob(f"{GENERATOR}-*"))}
    check_own_folder(out, {*begun, *FINISHED} if trained and (out / TRAINING).is_dir() else begun)


def _keeping(asked: Refinement) -> AbstractContextManager[None]:
    """Samples that are dear are kept beside the new weights, for a resume."""
    from genkit.core.generator import LatentGenerator
    from genkit.posthoc.rejection.kept_proposals import keeping_proposals

    dear = not isinstance(asked.generator, LatentGenerator)
    return keeping_proposals(asked.out / PROPOSALS) if dear else nullcontext()


def _trained(asked: Refinement, steps: int, resume: bool, crew: Crew) -> DensityRatio:
    from genkit.posthoc.rejection.rejection import Rejection
    from genkit.training.recipe import Recipe
    from genkit.training.run_folder import RunFolder

    name, out = called(asked.out, "refined"), asked.out / TRAINING
    RunFolder(out).holds_run(resume)
    sampled = _sampled(asked, crew)
    tree = refine_recipe(
        name,
        asked.weights,
        sampled,
        asked.kind,
        asked.features,
        asked.generator,
        asked.data,
        asked.looks,
        steps,
        asked.seed,
    )
    train_once(Recipe.from_dict(tree), out, resume, f"training the ratio into {out}")
    ratio: DensityRatio = Rejection.from_pretrained(out).ratio  # type: ignore[assignment]
    return ratio.to(asked.generator.device)


def _sampled(asked: Refinement, crew: Crew) -> str:
    """Weights of the generator as it is sampled: those that were given, or a folder of their own, named by its
    configuration, so that a run cannot go on with another."""
    if not asked.changed:
        return asked.weights
    config = json.dumps(asked.generator.config, sort_keys=True, default=str)
    folder = asked.out / f"{GENERATOR}-{sha256(config.encode()).hexdigest()[:8]}"
    if not crew.rank:
        asked.generator.save_pretrained(folder)
    return crew.broadcast(str(folder))


def _finish(
    asked: Refinement, density: DensityRatio, former: DensityRatio | None, seen: SeenBefore, crew: Crew
) -> None:
    import torch

    from genkit.core.randomness import stable_seed
    from genkit.evaluation.real_data import open_data
    from genkit.posthoc.rejection.fitting import fitted, sampler_over
    from genkit.posthoc.rejection.rejection import Rejection

    generator = asked.generator
    items = open_data(asked.held_out, tuple(generator.sample_shape), "--held-out")
    for line in items.remarks():
        say(line)
    rng = torch.Generator().manual_seed(stable_seed(asked.seed, "refine"))
    calibration = asked.kind if asked.kind in CALIBRATED else ""
    with display():
        found = fitted(generator, density, items, rng, calibration, crew=crew, former=former)
        starts = found.real if asked.sampler == "mh" else None
        made = sampler_over(generator, found.ratio, asked.sampler, **asked.settings, starts=starts)
        if isinstance(made, Rejection):
            made.burn_in(rng, crew=crew)
    if crew.rank:
        return
    if generator.class_names:
        made.class_names = generator.class_names
    made.save_pretrained(asked.out)
    report = {**found.to_json(), "seen_before": seen._asdict()}
    write_atomically(asked.out / REPORT, json_of_result(report))
    _tell(found, made, advice(asked.kind, asked.weights))
    if (asked.out / PROPOSALS).is_dir():
        click.echo(f"{asked.out / PROPOSALS} keeps the samples that were drawn, for --resume; it may be deleted")
    click.echo(f"weights in {asked.out}")


def _tell(found: Fitted, made: RatioSampler, advice: str) -> None:
    from genkit.posthoc.rejection.rejection import Rejection

    judged = {"the critic's score": found.before} if found.ratio.calibration or found.before != found.after else {}
    judged["the ratio"] = found.after
    rows = [(name, f"{of.bce:.4f}", f"{of.ece:.4f}", f"{of.z:.2f}") for name, of in judged.items()]
    click.echo(heading("on held-out samples; the cross-entropy of chance is 0.6931"))
    click.echo(table(rows, ("", "cross-entropy", "calibration error", "Dawid's Z")))
    warn(found.after.remarks(advice))
    if isinstance(made, Rejection):
        kept, log_m = made.expected_rate.mean().item(), made.log_m.max().item()
        click.echo(f"{100 * kept:.3g} % of the samples are kept; log M {log_m:.3g}")
