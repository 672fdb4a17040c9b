"""What the process that test children are forked from imports once."""

import accelerate.tracking  # noqa: F401
import diffusers.models.unets.unet_2d
import diffusers.schedulers.scheduling_dpmsolver_multistep  # noqa: F401
import jinja2.ext  # noqa: F401
import torch
import torch._dynamo
import torchvision.models  # noqa: F401

import tests.training.tiny  # noqa: F401

torch.set_num_threads(1)
