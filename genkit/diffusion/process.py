"""The diffusion process: the noise of an image at every step, and the step back that a network's output describes.

Ho, Jain & Abbeel 2020, arXiv:2006.11239 (DDPM); Nichol & Dhariwal 2021, arXiv:2102.09672 (learned variance). Steps are
counted as in the code of the authors: t = 0 is the least noisy, T - 1 the noisiest. abar is the product of 1 - beta.
A step i counts the kept steps; its timestep is the number that the network is given.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self

import torch
from einops import rearrange
from pydantic import Field
from torch import Tensor, nn

from genkit.core.errors import RecipeError
from genkit.core.known import known
from genkit.core.pretrained import Configured
from genkit.diffusion.schedules import SCHEDULES, Spacing, space_steps

Beta = Annotated[float, Field(gt=0, lt=1)]


@dataclass(frozen=True)
class Prediction:
    """A network's distribution of x_{t-1} given x_t: N(mean, variance).

    Attributes:
        x0: the clean image, clipped where asked.
        mean, variance, log_variance: of the step back, each of the shape of x_t.
    """

    x0: Tensor
    mean: Tensor
    variance: Tensor
    log_variance: Tensor


class Process(Configured, nn.Module):
    """q(x_t | x_0) = N(sqrt(abar_t) x_0, (1 - abar_t) I), and the Gaussian step back.

    Args:
        steps: T of training.
        schedule: "linear" or "cosine", or the betas themselves.
        prediction: the first half of the network's output: the noise, the clean image, or
            v = sqrt(abar) eps - sqrt(1 - abar) x_0 (Salimans & Ho 2022, arXiv:2202.00512).
        variance: of the step back. "fixed_small" is that of q(x_{t-1} | x_t, x_0), "fixed_large" is beta; "learned" and
            "learned_range" read it off the second half of the output, as its logarithm or as its place between the
            logarithms of the two fixed ones.
        rescale_steps: the network sees t * 1000 / T instead of t, as improved-diffusion does.
        kept: the steps to keep, see `space_steps`; the network is given their original numbers.

    Attributes:
        timesteps: (T,) float32, the number of every kept step that the network is given.
        betas, abar: (T,) float64, of the kept steps.

    Raises:
        RecipeError: fewer than two steps, or a spacing that is impossible.
    """

    timesteps: Tensor

    def __init__(
        self,
        steps: Annotated[int, Field(ge=2, le=100_000)] = 1000,
        schedule: Literal["linear", "cosine"] | Sequence[Beta] = "cosine",
        prediction: Literal["eps", "x0", "v"] = "eps",
        variance: Literal["fixed_small", "fixed_large", "learned", "learned_range"] = "learned_range",
        rescale_steps: bool = False,
        kept: Spacing = "",
    ):
        super().__init__()
        self.prediction, self.variance, self.steps = prediction, variance, steps
        self.kept = space_steps(steps, kept)
        if len(self.kept) < 2:
            raise RecipeError(f"steps {kept!r} leave a single step; a diffusion needs at least 2")
        self.timestep_scale = 1000 / steps if rescale_steps else 1.0
        timesteps = torch.tensor(self.kept, dtype=torch.float32) * self.timestep_scale
        self.register_buffer("timesteps", timesteps, persistent=False)
        with torch.device("cpu"):  # a solver reads values, on the meta device too
            tables = self._tabulate(_spaced(_betas(schedule, steps), self.kept))
        for name, table in tables.items():
            self.register_buffer(name, table.float().to(timesteps.device), persistent=False)

    def __len__(self) -> int:
        """Number of steps that are kept."""
        return len(self.kept)

    def with_settings(self, **settings: Any) -> Self:
        """The same process with these arguments changed, on the same device."""
        arguments = {k: v for k, v in self.config.items() if k != "type"} | settings
        return type(self)(**arguments).to(self.timesteps.device)

    def same_noise(self, other: Process) -> bool:
        """True if both add the same noise and number the steps alike; all else may differ."""
        if (self.steps, self.timestep_scale) != (other.steps, other.timestep_scale):
            return False
        mine, theirs = (_betas(p.config["schedule"], p.steps) for p in (self, other))
        return known(torch.isclose(mine, theirs, rtol=1e-4, atol=0).all())

    @property
    def learns_variance(self) -> bool:
        return self.variance in ("learned", "learned_range")

    def _tabulate(self, betas: Tensor) -> dict[str, Tensor]:
        """Makes the tables, in float64 on the CPU; returns those for `look_up`, which lie on the device in float32."""
        self.betas, alphas = betas, 1 - betas
        self.abar = alphas.cumprod(0)
        before = torch.cat([torch.ones(1, dtype=torch.float64), self.abar[:-1]])
        small = betas * (1 - before) / (1 - self.abar)
        self.posterior_variance = small
        self.posterior_log_variance = torch.cat([small[1:2], small[1:]]).log()
        self.posterior_x0 = betas * before.sqrt() / (1 - self.abar)
        self.posterior_x_t = (1 - before) * alphas.sqrt() / (1 - self.abar)
        large = torch.cat([small[1:2], betas[1:]])
        return {
            "_abar": self.abar,
            "_abar_before": before,
            "_abar_after": torch.cat([self.abar[1:], torch.zeros(1, dtype=torch.float64)]),
            "_signal": self.abar.sqrt(),
            "_noise": (1 - self.abar).sqrt(),
            "_per_signal": (1 / self.abar).sqrt(),
            "_noise_per_signal": (1 / self.abar - 1).sqrt(),
            "_x0": self.posterior_x0,
            "_x_t": self.posterior_x_t,
            "_small": small,
            "_log_small": self.posterior_log_variance,
            "_large": large,
            "_log_large": large.log(),
            "_log_beta": betas.log(),
        }

    def look_up(self, name: str, i: Tensor, like: Tensor) -> Tensor:
        """Table `name` at the steps i (B,), shaped to multiply `like` (B, ...)."""
        values: Tensor = getattr(self, f"_{name}")[i]
        return values.view(-1, *[1] * (like.dim() - 1))

    def noised(self, x0: Tensor, i: Tensor, noise: Tensor) -> Tensor:
        """x_t = sqrt(abar) x_0 + sqrt(1 - abar) eps. DDPM Eq. 4."""
        return self.look_up("signal", i, x0) * x0 + self.look_up("noise", i, x0) * noise

    def target(self, x0: Tensor, i: Tensor, noise: Tensor) -> Tensor:
        """The target of the prediction, (B, C, ...)."""
        if self.prediction == "eps":
            return noise
        if self.prediction == "x0":
            return x0
        return self.look_up("signal", i, x0) * noise - self.look_up("noise", i, x0) * x0

    def split(self, output: Tensor, x_t: Tensor) -> tuple[Tensor, Tensor | None]:
        """The prediction, and the variance's half of an output with twice the channels of x_t, else None."""
        if output.shape == x_t.shape:
            return output, None
        predicted, variance = rearrange(output, "b (two c) ... -> two b c ...", two=2)
        return predicted, variance

    def x0_from(self, predicted: Tensor, x_t: Tensor, i: Tensor) -> Tensor:
        """x_0 from a prediction; for one of the noise: DDPM Eq. 15."""
        if self.prediction == "x0":
            return predicted
        if self.prediction == "v":
            return self.look_up("signal", i, x_t) * x_t - self.look_up("noise", i, x_t) * predicted
        return self.x0_from_eps(predicted, x_t, i)

    def x0_from_eps(self, eps: Tensor, x_t: Tensor, i: Tensor) -> Tensor:
        return self.look_up("per_signal", i, x_t) * x_t - self.look_up("noise_per_signal", i, x_t) * eps

    def eps_from_x0(self, x0: Tensor, x_t: Tensor, i: Tensor) -> Tensor:
        return (self.look_up("per_signal", i, x_t) * x_t - x0) / self.look_up("noise_per_signal", i, x_t)

    def posterior_mean(self, x0: Tensor, x_t: Tensor, i: Tensor) -> Tensor:
        """Mean of q(x_{t-1} | x_t, x_0). DDPM Eq. 7."""
        return self.look_up("x0", i, x_t) * x0 + self.look_up("x_t", i, x_t) * x_t

    def variances(self, predicted: Tensor | None, x_t: Tensor, i: Tensor) -> tuple[Tensor, Tensor]:
        """Variance of the step back and its logarithm; `predicted` is the second half of the output."""
        if self.variance == "fixed_small":
            return tuple(self.look_up(k, i, x_t).expand_as(x_t) for k in ("small", "log_small"))  # type: ignore[return-value]
        if self.variance == "fixed_large":
            return tuple(self.look_up(k, i, x_t).expand_as(x_t) for k in ("large", "log_large"))  # type: ignore[return-value]
        if predicted is None:
            raise RecipeError(f"variance {self.variance!r} needs a network with twice the channels; set its 'variance'")
        log_variance = predicted
        if self.variance == "learned_range":  # Nichol & Dhariwal 2021, Eq. 15; v in [-1, 1] is not enforced
            share = (predicted + 1) / 2
            low, high = self.look_up("log_small", i, x_t), self.look_up("log_beta", i, x_t)
            log_variance = share * high + (1 - share) * low
        return log_variance.exp(), log_variance

    def predict(self, output: Tensor, x_t: Tensor, i: Tensor, *, clip: bool) -> Prediction:
        """The step back from x_t (B, C, ...) at the steps i (B,), read from the network's `output` (B, C or 2C, ...).

        Args:
            clip: x_0 is clipped to [-1, 1], as the authors do for sampling and bits per dimension, not for training.
        """
        predicted, predicted_variance = self.split(output, x_t)
        x0 = self.x0_from(predicted, x_t, i)
        x0 = x0.clamp(-1, 1) if clip else x0
        variance, log_variance = self.variances(predicted_variance, x_t, i)
        return Prediction(x0, self.posterior_mean(x0, x_t, i), variance, log_variance)


def _betas(schedule: str | Sequence[float], steps: int) -> Tensor:
    if isinstance(schedule, str):
        return SCHEDULES[schedule](steps)
    if len(schedule) != steps:
        raise RecipeError(f"schedule: {steps} steps need {steps} betas, got {len(schedule)}")
    return torch.tensor(list(schedule), dtype=torch.float64)


def _spaced(betas: Tensor, kept: Sequence[int]) -> Tensor:
    """Betas with the same abar at the kept steps: 1 - abar(S_i) / abar(S_{i-1}). Nichol & Dhariwal 2021, Eq. 19."""
    if len(kept) == len(betas):
        return betas
    abar = (1 - betas).cumprod(0)[torch.tensor(kept)]
    return 1 - abar / torch.cat([torch.ones(1, dtype=torch.float64), abar[:-1]])
