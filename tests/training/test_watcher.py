"""What a run shows while it trains."""

from __future__ import annotations

from genkit.training.watcher import TrainingWatcher


class Shown:
    """A display that keeps what it is told."""

    def __init__(self) -> None:
        self.lines = list[str]()

    def note(self, line: str) -> None:
        self.lines.append(line)

    def advance(self, what: str, unit: str, done: int, total: int, detail: str = "") -> None:
        self.lines.append(f"{what} {done}/{total} {detail}".rstrip())


def test_a_stage_does_not_show_the_losses_of_the_one_before() -> None:
    shown = Shown()
    watcher = TrainingWatcher(shown, "training two into runs/two")  # type: ignore[arg-type]
    watcher.iteration(1, 2, {"classifier/loss": 0.5})
    watcher.iteration(2, 2, None)
    watcher.iteration(1, 2, None)
    watcher.iteration(2, 2, {"denoiser/loss": 0.25})
    assert shown.lines == [
        "training two into runs/two",
        "training 1/2 classifier loss 0.5",
        "training 2/2 classifier loss 0.5",
        "training 1/2",
        "training 2/2 denoiser loss 0.25",
    ]
