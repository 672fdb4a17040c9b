"""All arms, in the order in which they are trained: the quick ones first."""

from __future__ import annotations

from dataclasses import replace

from benchmarks.peers.contestant import Arm

EVALUATIONS = 15
"""Passes through a network for a sample of any diffusion model."""
FEW, MANY = 500, 2000
"""Samples that every arm is scored by, and those of arms whose samples do not cost hours."""
SHELVED, LONG = 10_000, 30
"""As many are kept of each of these arms, from so many CPU-minutes on, for the table of clothes."""

GENKIT = "benchmarks.peers.genkit_arms"
DIFFUSION, GAN, VAE = "diffusion", "GAN", "VAE"


def _peer(package: str, family: str, module: str, settings: str, **more: object) -> Arm:
    name = f"{package}, {'its defaults' if settings == 'own' else settings}"
    return Arm(name, family, f"benchmarks.peers.{module}", package, settings=settings, **more)  # type: ignore[arg-type]


OURS = "genkit's settings"
ARMS = (
    Arm("genkit gan", GAN, GENKIT, settings="gan", planned=True),
    _peer("torch-mimicry", GAN, "mimicry_sngan", "own"),
    _peer("torch-mimicry", GAN, "mimicry_sngan", OURS),
    _peer("stylegan2-pytorch", GAN, "lucidrains_stylegan2", "own"),
    _peer("stylegan2-pytorch", GAN, "lucidrains_stylegan2", OURS),
    Arm("genkit vae", VAE, GENKIT, settings="vae", planned=True),
    Arm("genkit vamp-vae", VAE, GENKIT, builder="vamp", settings="fashion_mnist/vamp_vae", planned=True),
    Arm("pythae VAE, its defaults", VAE, "benchmarks.peers.pythae_vae", "pythae", settings="own"),
    Arm("pythae VAE, genkit's settings", VAE, "benchmarks.peers.pythae_vae", "pythae", settings=OURS),
    Arm("pythae VAMP, its defaults", VAE, "benchmarks.peers.pythae_vae", "pythae", "vamp", settings="own"),
    Arm("pythae VAMP, genkit's settings", VAE, "benchmarks.peers.pythae_vae", "pythae", "vamp", settings=OURS),
    Arm("genkit ddpm", DIFFUSION, GENKIT, settings="ddpm", n=FEW, planned=True),
    _peer("denoising-diffusion-pytorch", DIFFUSION, "lucidrains_diffusion", OURS, n=FEW),
    _peer("diffusers", DIFFUSION, "diffusers_example", OURS, n=FEW, planned=True),
    _peer("denoising-diffusion-pytorch", DIFFUSION, "lucidrains_diffusion", "own", n=FEW),
    _peer("diffusers", DIFFUSION, "diffusers_example", "own", n=FEW),
)

FOR_PHOTOS = tuple(
    replace(arm, n=FEW)
    for arm in ARMS
    if arm.name in ("genkit gan", "genkit ddpm")
    or (arm.settings == "own" and arm.package in ("stylegan2-pytorch", "denoising-diffusion-pytorch", "diffusers"))
)
"""Those that a newcomer with photographs would try, as they come."""
