"""genkit evaluate --metrics ratio: whether the ratio of densities behind refined weights can be trusted."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from genkit.cli.console import display, heading, table, warn
from genkit.cli.launch import crew_of_launch, join_launch
from genkit.cli.places import loaded
from genkit.cli.refinement import check_conditions
from genkit.cli.result_file import write_json


def score(
    weights: str,
    against: str,
    n: int = 10_000,
    seed: int = 0,
    json_path: Path | None = None,
    skip_bad: bool = False,
) -> None:
    """The table of one ratio on real samples and as many made ones, and the same as JSON with its reliability curve."""
    import torch

    from genkit.evaluation.real_data import open_data
    from genkit.posthoc.rejection.fitting import check_judges
    from genkit.posthoc.rejection.sampler import RatioSampler

    join_launch()
    other = ", which reads no ratio; genkit refine makes what does"
    sampler, crew = loaded(RatioSampler, weights, other), crew_of_launch()
    data = open_data(against, tuple(sampler.sample_shape), "--against", skip_bad)
    check_conditions(sampler, data, "--against")
    check_judges(data, n)
    n = min(n, len(data))
    with display():
        found = sampler.reliability(data, n, torch.Generator().manual_seed(seed), crew)
    if crew.rank:
        return
    rows = [
        ("cross-entropy", f"{found.bce:.4f}", f"standard error {found.error:.4f}; chance {found.chance:.4f}"),
        ("calibration error", f"{found.ece:.4f}", "0 at best"),
        ("Dawid's Z", f"{found.z:.2f}", "standard normal at best"),
    ]
    click.echo(heading(f"the ratio of {weights} on {data.name}"))
    click.echo(table(rows))
    curve = [(f"{said:.2f}", f"{is_real:.2f}", f"{count:,}") for said, is_real, count in found.curve]
    click.echo(table(curve, ("said to be real", "are real", "samples")))
    click.echo(f"n = {n} of each, seed {seed}")
    warn([*data.remarks(), *found.remarks()])
    if json_path:
        told = {"name": data.name, "n": n, "fingerprint": data.fingerprint}
        write_json(
            json_path, {**asdict(found), "trusted": found.trusted, "against": told, "seed": seed}, a=(weights, sampler)
        )
