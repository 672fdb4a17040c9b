"""diffusers' UNet by the narrow path: little is imported, and all of diffusers is there afterwards."""

from __future__ import annotations

import subprocess
import sys

LITTLE = """
import sys
from genkit.diffusion.networks.unet2d import unet_class
UNet2DModel = unet_class()
for name in ("torch._dynamo", "scipy.stats", "diffusers.models.transformers", "diffusers.models.unets"):
    assert name not in sys.modules, name
import diffusers, torch._dynamo
assert diffusers.UNet2DModel is UNet2DModel
assert diffusers.UNet2DConditionModel.__module__ == "diffusers.models.unets.unet_2d_condition"
"""


def test_little_is_imported_and_nothing_is_lost() -> None:
    done = subprocess.run([sys.executable, "-c", LITTLE], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
