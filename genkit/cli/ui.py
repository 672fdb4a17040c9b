"""genkit ui: a page to play with, in a browser of this machine."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import click

from genkit.core.errors import GenkitError

NEEDED = "gradio"


@click.command("ui")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen at; 0.0.0.0 for all machines.")
@click.option("--port", type=click.IntRange(0, 65535), default=7860, show_default=True, help="0 for any that is free.")
def command(host: str, port: int) -> None:
    """Open a page of the weights, runs and pages below the current folder, and of shipped weights.

    Sample with everything that weights offer, go from one seed to another, drop an image, watch a training. Nobody but
    this machine can see it unless --host says so, and nothing leaves it. Ctrl-C ends it.
    """
    if find_spec(NEEDED) is None:
        raise GenkitError(f"the page needs {NEEDED}: pip install 'genkit[ui]'")
    from genkit.cli.web.library import Library
    from genkit.cli.web.pictures import prepare
    from genkit.cli.web.server import application, bound, own_uploads, server

    with own_uploads(), bound(host, port) as listening:
        library = Library(Path())
        made = server(application(library, host))
        prepare(library.shipped.values())
        click.echo(f"http://{host}:{listening.getsockname()[1]} shows {Path.cwd()}; Ctrl-C ends it")
        made.run(sockets=[listening])
