"""Work on one result by all processes of a run: what stops it in one, or spoils it, does so in all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NoReturn, TypeVar

from accelerate import Accelerator

from genkit.core.crew import Crew
from genkit.core.errors import BadState
from genkit.core.interruption import Interrupted, StopFlag

T = TypeVar("T")


class _Left(BaseException):
    """Another process has left the work; no Exception, so that no handler of errors catches it."""


@dataclass(frozen=True)
class SharedWork(Crew):
    """The processes of a run at one piece of work.

    A process that leaves early takes part in one more exchange, in place of the next one of the others, and tells them
    why. So all have made equally many when the work is over, and can go on together.

    Attributes:
        stop: heeded between exchanges, never in one.
        reasons: for which the work is over, by rank; empty as long as it is not.
    """

    stop: StopFlag = field(default_factory=StopFlag)
    reasons: list[BaseException] = field(default_factory=list)

    def exchanged(self, piece: Any) -> list[Any]:
        if self.count == 1:
            return [piece]
        with self.stop.waiting():
            found = super().exchanged((piece, None))
            self._note([reason for _, reason in found])
        return [made for made, _ in found]

    def end(self, reason: BaseException | None) -> None:
        """The last exchange: says in all processes for which reason one has left, and raises it."""
        if not self.reasons:
            found = super().exchanged((None, reason))
            self.reasons.extend(said for _, said in found if said)
        if self.reasons:
            self._raise()

    def _note(self, said: list[Any]) -> None:
        self.reasons.extend(filter(None, said))
        if self.reasons:
            raise _Left

    def _raise(self) -> NoReturn:
        raise self.reasons[0]


def shared(accelerator: Accelerator, work: Callable[[Crew], T], stop: StopFlag) -> T:
    """Runs `work` in every process of a run; its own result in each.

    Raises:
        Interrupted: in all, when a signal came to one.
        BadState: in all, when one found what it looks at to be of no use.
    """
    crew = SharedWork(accelerator.process_index, accelerator.num_processes, stop)
    made = list[T]()
    reason: BaseException | None = None
    try:
        with stop:
            made.append(work(crew))
    except (Interrupted, _Left) as left:
        reason = left
    except BadState as fault:
        reason = BadState(fault.why, fault.step)  # it is sent, and one of somebody else's class need not be picklable
    crew.end(reason)
    return made[0]
