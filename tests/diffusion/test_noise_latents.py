from __future__ import annotations

import torch

from genkit.diffusion.noise_latents import NoiseLatents
from genkit.diffusion.solvers import DDIM
from genkit.posthoc.directions.deformators import UnitColumns
from genkit.posthoc.directions.directions import Directions
from tests.contracts.specs import DDPM, PLAIN_DDPM, seeded


def awake(spec: object) -> object:
    """With the network's last layer away from zero."""
    made = seeded(spec)  # type: ignore[arg-type]
    for parameter in made.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.1)
    return made.eval()


def test_samples_are_those_of_the_deterministic_solver() -> None:
    for spec in (PLAIN_DDPM, DDPM):
        generator = awake(spec)
        latents = NoiseLatents(generator, "ddim5")  # type: ignore[arg-type]
        generator.solver = DDIM("ddim5")  # type: ignore[attr-defined]
        want = generator.sample(3, rng=torch.Generator().manual_seed(1))  # type: ignore[attr-defined]
        assert latents.sample(3, rng=torch.Generator().manual_seed(1)).equal(want)


def test_gradients_go_through_all_steps() -> None:
    latents = NoiseLatents(awake(PLAIN_DDPM), "ddim5")  # type: ignore[arg-type]
    z = torch.randn(2, 1, 8, 8, dtype=torch.float32, requires_grad=True)
    (slope,) = torch.autograd.grad(latents(z).sum(), z)
    step = torch.randn_like(z)
    with torch.no_grad():
        moved = (latents(z + 1e-2 * step).sum() - latents(z - 1e-2 * step).sum()) / 2e-2
    torch.testing.assert_close((slope * step).sum(), moved, rtol=0.05, atol=0.02)


def test_directions_of_the_noise() -> None:
    found = Directions(NoiseLatents(awake(PLAIN_DDPM), "ddim4"), UnitColumns(3, 64))  # type: ignore[arg-type]
    strip = found.strip(1, [-4.0, 0.0, 4.0], [2])
    assert strip.shape == (1, 3, 1, 8, 8) and (strip[0, 0] - strip[0, 2]).abs().max() > 1e-3
    found.shifts(torch.eye(3)).sum().backward()
