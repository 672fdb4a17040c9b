"""A headless Chromium that opens a file and says what went wrong in it, over the DevTools protocol on two pipes."""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-pipe",
)
TIMEOUT_S = 120.0


def program() -> str | None:
    """The browser's path; None where there is none."""
    return next((path for name in PROGRAMS if (path := shutil.which(name))), None)


@contextmanager
def started(profile: Path) -> Iterator[Tab]:
    """A tab of a fresh browser, which ends with the block.

    Args:
        profile: a new folder.
    """
    to_browser, write = os.pipe()
    read, from_browser = os.pipe()
    line = ["bash", "-c", f'exec "$@" 3<&{to_browser} 4>&{from_browser}', "bash", str(program()), *FLAGS]
    browser = subprocess.Popen(
        [*line, f"--user-data-dir={profile}", "about:blank"],
        pass_fds=[to_browser, from_browser],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    os.close(to_browser)
    os.close(from_browser)
    try:
        yield Tab(read, write)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(browser.pid, signal.SIGKILL)
        browser.wait()
        os.close(read)
        os.close(write)


class Tab:
    """One page.

    Attributes:
        faults: errors in the console, exceptions, and what could not be loaded.
        requests: addresses asked for but for those inside the page.
    """

    def __init__(self, read: int, write: int):
        self.read, self.write, self.buffer, self.number = read, write, b"", 0
        self.faults, self.requests, self.seen = list[str](), list[str](), list[str]()
        self.session = ""
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.ask(f"{domain}.enable")

    def open(self, path: Path) -> None:
        """Opens a file and waits until all in it is loaded."""
        self.seen.clear()
        self.ask("Page.navigate", url=path.resolve().as_uri())
        while "Page.loadEventFired" not in self.seen:
            self._note(self._message())

    def value(self, expression: str) -> Any:
        """The value of an expression of JavaScript, in the page."""
        return self.ask("Runtime.evaluate", expression=expression, returnByValue=True)["result"].get("value")

    def ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        self.number += 1
        session = {"sessionId": self.session} if self.session else {}
        asked = {"id": self.number, "method": method, "params": parameters, **session}
        os.write(self.write, json.dumps(asked).encode() + b"\0")
        while (answer := self._message()).get("id") != self.number:
            self._note(answer)
        assert "error" not in answer, (method, answer["error"])
        result: dict[str, Any] = answer["result"]
        return result

    def _message(self) -> dict[str, Any]:
        deadline = time.monotonic() + TIMEOUT_S
        while b"\0" not in self.buffer:
            ready, _, _ = select.select([self.read], [], [], max(0.0, deadline - time.monotonic()))
            part = os.read(self.read, 2**20) if ready else b""
            assert part, f"Chromium has ended, or said nothing for {TIMEOUT_S:g} s"
            self.buffer += part
        message, _, self.buffer = self.buffer.partition(b"\0")
        found: dict[str, Any] = json.loads(message)
        return found

    def _note(self, message: dict[str, Any]) -> None:
        method, told = message.get("method", ""), message.get("params", {})
        self.seen.append(method)
        if method == "Runtime.exceptionThrown":
            self.faults.append(str(told["exceptionDetails"].get("text")))
        elif method == "Runtime.consoleAPICalled" and told["type"] in ("error", "warning", "assert"):
            self.faults.append(f"console: {told['args']}")
        elif method == "Log.entryAdded" and told["entry"]["level"] in ("error", "warning"):
            self.faults.append(str(told["entry"]["text"]))
        elif method == "Network.requestWillBeSent" and not told["request"]["url"].startswith("data:"):
            self.requests.append(told["request"]["url"])
