"""The server of the page: on this machine, with files of its library alone, and nothing from a network."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryDirectory
from typing import Any

from genkit.cli.web.library import Library, chosen
from genkit.cli.web.markup import STYLE
from genkit.core.errors import GenkitError

LOOPBACK, EVERYWHERE = ("127.0.0.1", "localhost"), ("0.0.0.0", "::")
LARGEST = "64mb"
"""Of a dropped file."""

ENDS_AFTER_S = 1
READ_ONLY = "sandbox; default-src 'none'; img-src data:; style-src 'unsafe-inline'"
"""Policy of the pages that runs have left: they are looked at, and run and load nothing."""

RENEWAL = re.compile(rb'<meta http-equiv="refresh"[^>]*>')
"""By it the report of a running training reads itself anew, which a page in a sandbox may not: its tab does that."""


def bound(host: str, port: int) -> socket.socket:
    """A socket that listens there.

    Raises:
        GenkitError: it cannot; the message says what to change.
    """
    try:
        return socket.create_server((host, port))
    except OSError as taken:
        raise GenkitError(
            f"--host {host} --port {port}: cannot listen there ({taken.strerror or taken}); choose another --port, "
            "or 0 for any that is free"
        ) from taken


@contextmanager
def own_uploads() -> Iterator[None]:
    """A folder of its own for what visitors drop, which goes away; entered before gradio is imported."""
    with TemporaryDirectory(prefix="genkit-ui-") as folder:
        os.environ |= {"GRADIO_TEMP_DIR": folder, "GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_OFFLINE": "1"}
        yield


def application(library: Library, host: str) -> Any:
    """The page and the files that it shows, as an ASGI application."""
    import gradio as gr
    from fastapi import FastAPI
    from fastapi.responses import HTMLResponse
    from starlette.middleware.trustedhost import TrustedHostMiddleware

    from genkit.cli.web.page import page
    from genkit.cli.web.reading_tab import ADDRESS

    served = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    if host not in EVERYWHERE:
        served.add_middleware(TrustedHostMiddleware, allowed_hosts=[*LOOPBACK, host])

    @served.get(f"/{ADDRESS}/{{name:path}}")
    def read(name: str) -> HTMLResponse:
        try:
            path = chosen(library.pages(), name)
        except GenkitError:
            return HTMLResponse("there is no such page", 404)
        return HTMLResponse(RENEWAL.sub(b"", path.read_bytes()), headers={"Content-Security-Policy": READ_ONLY})

    system, mono = ["system-ui", "sans-serif"], ["ui-monospace", "monospace"]
    theme = gr.themes.Default(font=[gr.themes.Font(f) for f in system], font_mono=[gr.themes.Font(f) for f in mono])
    return gr.mount_gradio_app(
        served,
        page(library).queue(api_open=False),
        "/",
        server_name=host,
        theme=theme,
        css_paths=STYLE,
        footer_links=[],
        allowed_paths=[],
        max_file_size=LARGEST,
        ssr_mode=False,
        show_error=False,
    )


def server(application: Any) -> Any:
    """A server of it, which runs until a signal comes or its `should_exit` is set."""
    import uvicorn

    return uvicorn.Server(uvicorn.Config(application, log_level="critical", timeout_graceful_shutdown=ENDS_AFTER_S))
