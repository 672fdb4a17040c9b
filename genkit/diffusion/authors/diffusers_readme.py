"""README.md of an exported pipeline folder."""

from __future__ import annotations

import json
from collections.abc import Iterator

from genkit.diffusion.authors.diffusers_chain import Chain
from genkit.diffusion.ddpm import DDPM
from genkit.diffusion.solvers import DDIM


def readme(name: str, generator: DDPM, chain: Chain, plain: bool) -> str:
    """README.md, with code that samples as the generator does.

    Args:
        name: of the folder.
        generator: the model that was exported.
        chain: its sampling in diffusers' terms.
        plain: whether a pipeline class of diffusers samples it, not the one in the folder.
    """
    listed = "\n".join(f"- {note}." for note in _notes(generator, plain))
    label = " --label 1" if generator.network.classes else ""
    return f"""# {name}

A diffusion model, exported from genkit as a pipeline folder of diffusers. From beside this folder:

```python
{(_plain_code if plain else _own_code)(name, generator, chain)}
```

These are the images of `genkit sample ... -n 4 --seed 0{label}`, up to rounding. Leave `generator` out for others.

{listed}
"""


STREAMS = """seeds = torch.randint(2**63 - 1, (4,), generator=torch.Generator().manual_seed(0))
streams = [torch.Generator().manual_seed(seed) for seed in seeds.tolist()]"""
"""Code for genkit's randomness: a stream of noise for every image."""


def _plain_code(name: str, generator: DDPM, chain: Chain) -> str:
    solver = generator.solver
    kind = "DDIMPipeline" if isinstance(solver, DDIM) else "DDPMPipeline"
    more = f", eta={chain.eta}, use_clipped_model_output=True" if isinstance(solver, DDIM) else ""
    return f"""import torch
from diffusers import {kind}

pipeline = {kind}.from_pretrained({json.dumps(name, ensure_ascii=False)})
{STREAMS}
images = pipeline(batch_size=4, generator=streams, num_inference_steps={chain.steps}{more}).images"""


def _own_code(name: str, generator: DDPM, chain: Chain) -> str:
    asked = "labels=[1, 1, 1, 1]" if generator.network.classes else "batch_size=4"
    return f"""import torch
from diffusers import DiffusionPipeline

pipeline = DiffusionPipeline.from_pretrained({json.dumps(name, ensure_ascii=False)}, trust_remote_code=True)
{STREAMS}
images = pipeline({asked}, generator=streams).images"""


def _notes(generator: DDPM, plain: bool) -> Iterator[str]:
    network = generator.network
    if not plain:
        yield (
            "diffusers' own pipelines cannot sample this model, so `pipeline.py` has a small class that does; "
            "`trust_remote_code=True` lets diffusers run it. The UNet and the scheduler are diffusers' own"
        )
    if network.classes:
        without = ", or none" if network.unlabelled else ""
        yield f"`labels`: of each image, 0 to {network.classes - 1}{without}"
    if network.unlabelled:
        yield (
            "`guidance_scale`: away from no label, towards the label: 1 is plain, 2 exaggerates; "
            f'the UNet\'s label {network.classes} stands for "no label"'
        )
    yield "`genkit import diffusers/pipeline` of this folder gives the same generator back, by `genkit.json`"
