"""What the process that test children are forked from imports once."""

import accelerate.tracking  # noqa: F401
import torch
import torch._dynamo

import tests.training.tiny  # noqa: F401

torch.set_num_threads(1)
