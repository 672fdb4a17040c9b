"""genkit ui on the command line: it is refused in one line where it cannot work."""

from __future__ import annotations

import socket
from importlib.util import find_spec

import pytest

from genkit.cli import ui
from tests.cli.console import refusal

has_gradio = pytest.mark.skipif(find_spec("gradio") is None, reason="pip install 'genkit[ui]'")


def test_without_gradio_it_says_what_to_install(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ui, "NEEDED", "no_such_package")
    assert refusal(capsys, "ui") == "the page needs no_such_package: pip install 'genkit[ui]'"


@has_gradio
def test_a_port_that_is_taken(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        line = refusal(capsys, "ui", "--port", taken.getsockname()[1])
    assert line.startswith("--host 127.0.0.1 --port ") and "choose another --port" in line


@has_gradio
def test_a_host_that_there_is_not(capsys: pytest.CaptureFixture[str]) -> None:
    assert "cannot listen there" in refusal(capsys, "ui", "--host", "203.0.113.1", "--port", 0)
