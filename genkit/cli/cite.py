"""genkit cite: BibTeX of the papers behind something."""

from __future__ import annotations

import click

from genkit.cli.subject import find_subject
from genkit.papers import bibtex, papers_of


@click.command("cite")
@click.argument("subject", metavar="X")
def command(subject: str) -> None:
    """Print BibTeX of the papers that X uses: a recipe, weights, a run, or a name from `genkit list`."""
    found = find_subject(subject)
    keys = papers_of(found.spec)
    if keys:
        click.echo(bibtex(keys))
    else:
        click.echo(f"{subject} needs no citation", err=True)
