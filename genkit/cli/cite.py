"""genkit cite: BibTeX of the papers behind something."""

from __future__ import annotations

import click

from genkit.cli.subject import find_subject
from genkit.core.papers import bibtex


@click.command("cite")
@click.argument("subject", metavar="X")
def command(subject: str) -> None:
    """Print BibTeX of the papers that X uses: a recipe, weights, a run, or a name from `genkit list`."""
    found = find_subject(subject)
    if found.papers:
        click.echo(bibtex(found.papers))
    else:
        click.echo(f"{subject} needs no citation", err=True)
