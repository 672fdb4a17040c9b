"""What the process that test children are forked from imports and reads once."""

from importlib import import_module

MODULES = """
accelerate.tracking diffusers.models.unets.unet_2d diffusers.schedulers.scheduling_dpmsolver_multistep jinja2.ext torch
torch._dynamo torchvision.models genkit.cli.train genkit.data.digits genkit.diffusion.multistep genkit.generators.ddpm
genkit.generators.domain_adaptation genkit.generators.vae_training genkit.networks.diffusers_unet genkit.networks.unet
genkit.training.run tests.training.tiny
"""
modules = {name: import_module(name) for name in MODULES.split()}
modules["torch"].set_num_threads(1)
modules["genkit.data.digits"].digits()
