"""What an exported pipeline folder says about itself."""

from __future__ import annotations

from collections.abc import Sequence

from genkit.diffusion.solvers import DDIM
from genkit.generators.ddpm import DDPM


def readme(name: str, generator: DDPM, ddim: bool, steps: int, remarks: Sequence[str]) -> str:
    """README.md, with code that samples as the generator does.

    Args:
        name: of the folder.
        generator: what was exported.
        ddim: whether it is a DDIMPipeline.
        steps: network evaluations.
        remarks: a line each.
    """
    code = (_loop if generator.network.classes else _call)(name, generator, ddim, steps)
    notes = [
        *remarks,
        "the same seed gives other images than in genkit, which has a stream of noise for every sample",
    ]
    listed = "\n".join(f"- {note[:1].upper()}{note[1:]}." for note in notes)
    return f"""# {name}

A diffusion model, exported from genkit as a pipeline folder of diffusers. From beside this folder:

```python
{code}
```

{listed}
"""


def _call(name: str, generator: DDPM, ddim: bool, steps: int) -> str:
    kind, more = ("DDIMPipeline", _ddim_arguments(generator)) if ddim else ("DDPMPipeline", "")
    return f"""from diffusers import {kind}

pipeline = {kind}.from_pretrained("{name}")
images = pipeline(batch_size=4, num_inference_steps={steps}{more}).images"""


def _loop(name: str, generator: DDPM, ddim: bool, steps: int) -> str:
    kind, more = ("DDIMScheduler", _ddim_arguments(generator)) if ddim else ("DDPMScheduler", "")
    shape = ", ".join(map(str, generator.sample_shape))
    return f"""import torch
from diffusers import {kind}, UNet2DModel

unet = UNet2DModel.from_pretrained("{name}", subfolder="unet")
scheduler = {kind}.from_pretrained("{name}", subfolder="scheduler")
scheduler.set_timesteps({steps})
labels = torch.tensor([0, 1, 0, 1])
x = torch.randn(4, {shape})
with torch.no_grad():
    for t in scheduler.timesteps:
        x = scheduler.step(unet(x, t, class_labels=labels).sample, t, x{more}).prev_sample
images = x.clamp(-1, 1)"""


def _ddim_arguments(generator: DDPM) -> str:
    """genkit derives the noise again from the clipped image, as guided diffusion does."""
    eta = generator.solver.eta if isinstance(generator.solver, DDIM) else 0.0
    return f", eta={eta}, use_clipped_model_output=True"
