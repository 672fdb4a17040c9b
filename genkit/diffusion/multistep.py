"""Fast solvers of the probability-flow equation, diffusers' own, on this toolkit's process and guidance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar

from pydantic import Field
from torch import Tensor

from genkit.core.errors import RecipeError
from genkit.core.progress import Progress
from genkit.core.randomness import Randomness
from genkit.diffusion.process import Process
from genkit.diffusion.solvers import Denoising, Solver, silence, steps_like

Evaluations = Annotated[int, Field(ge=1, le=100_000)]
NOISIEST = -5.1
"""Half log-SNR below which steps are skipped: the last ones of a cosine schedule are noise and upset the solvers."""


class MultistepSolver(Solver):
    """A scheduler of diffusers that is handed the (guided) image of each step.

    A guided image is clipped again, unlike in DDIM: where there is little but noise, the classifier's gradient moves it
    by its hundredfold, and few steps do not recover from that (thresholding, Section 3.4 of Lu et al. 2022).

    Args:
        steps: network evaluations.
        order: 1 to 3; 2 is advised when guided.

    Attributes:
        kind: the scheduler's class.
    """

    kind: ClassVar[str]

    def __init__(self, steps: Evaluations = 20, order: Annotated[int, Field(ge=1, le=3)] = 2):
        self.steps, self.order = steps, order

    def check(self, process: Process) -> None:
        if self.steps > (most := len(self.usable(process)) - 1):
            raise RecipeError(f"steps: {self.steps} evaluations are too many for this process; use at most {most}")

    def run(self, denoising: Denoising, noise: Randomness, shape: Sequence[int], watch: Progress = silence) -> Tensor:
        self.check(denoising.process)
        scheduler = self.scheduler(self.usable(denoising.process).numpy())
        scheduler.set_timesteps(self.steps)
        scheduler.set_begin_index(0)
        x = noise.normal(*shape)
        for done, t in enumerate(scheduler.timesteps.tolist(), start=1):
            x = scheduler.step(self._image(denoising, x, t), t, x, return_dict=False)[0]
            watch(done, self.steps)
        return x

    def usable(self, process: Process) -> Tensor:
        """Betas of the first steps, those that are not too noisy; a scheduler takes each but the first at most once."""
        half_log_snr = 0.5 * (process.abar / (1 - process.abar)).log()
        return process.betas[: int((half_log_snr >= NOISIEST).sum())]

    def _image(self, denoising: Denoising, x: Tensor, t: int) -> Tensor:
        at = steps_like(t, x)
        p = denoising.predict(x, at)
        if denoising.gradient is None:
            return p.x0
        guided = denoising.process.x0_from_eps(denoising.guided_eps(p, x, at), x, at)
        return guided.clamp(-1, 1) if denoising.clip else guided

    def scheduler(self, betas: Any) -> Any:
        """diffusers' scheduler for a network that predicts clean images."""
        import diffusers

        kind, settings = getattr(diffusers, self.kind), {"prediction_type": "sample", "solver_order": self.order}
        return kind(num_train_timesteps=len(betas), trained_betas=betas, **settings)


class DPMSolver(MultistepSolver):
    """DPM-Solver++ (multistep). Lu et al. 2022, arXiv:2211.01095."""

    kind = "DPMSolverMultistepScheduler"


class UniPC(MultistepSolver):
    """UniPC (data prediction). Zhao et al. 2023, arXiv:2302.04867."""

    kind = "UniPCMultistepScheduler"
