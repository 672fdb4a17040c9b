"""Imports and files that the process that test children are forked from reads once."""

from importlib import import_module

MODULES = """
accelerate.tracking diffusers.models.unets.unet_2d diffusers.schedulers.scheduling_dpmsolver_multistep jinja2.ext torch
torch._dynamo torchvision.models genkit.cli.main genkit.cli.train genkit.data.digits genkit.diffusion.multistep
genkit.classifiers.domain_adaptation genkit.vae.vae_training genkit.diffusion.networks.diffusers_unet
genkit.diffusion.networks.unet genkit.gan.gan genkit.gan.stylegan2.generator genkit.training.curves genkit.training.run
genkit.vae.energy.vaebm_training genkit.vae.hierarchical.nvae genkit.vae.energy.energy_network
genkit.diffusion.ddpm matplotlib.backends.backend_svg matplotlib.figure PIL.PngImagePlugin
pydantic pytest rich.table tests.contracts.small_runs tests.training.tiny
"""
modules = {name: import_module(name) for name in MODULES.split()}
modules["torch"].set_num_threads(1)
modules["genkit.data.digits"].digits()
