"""Names of optimisers and learning-rate schedules."""

from __future__ import annotations

from genkit.core.entry import Entries, Entry

ENTRIES: Entries = {
    "optimizers": {
        "adam": Entry(
            "genkit.training.optimizers:Adam", "Kingma & Ba 2015. GANs mostly take betas [0, 0.9].", ("kingma2015adam",)
        ),
        "adam_norm_grad": Entry(
            "genkit.training.optimizers:AdamNormGrad",
            "Adam on gradients of length one: each tensor's is divided by its norm first.",
            ("norouzi2020exemplar", "kingma2015adam"),
        ),
        "adam_entry_clip": Entry(
            "genkit.training.optimizers:AdamEntryClip",
            "Adam that cuts every entry of a gradient to 3 sqrt(v) + 0.1 first, v its second moment.",
            ("du2019ebm", "kingma2015adam"),
        ),
        "adamw": Entry("genkit.training.optimizers:AdamW", "Loshchilov & Hutter 2019.", ("loshchilov2019adamw",)),
        "adamax": Entry(
            "genkit.training.optimizers:Adamax",
            "Adam by the largest gradient so far, decayed, in place of the root mean square.",
            ("kingma2015adam",),
        ),
        "sgd": Entry("genkit.training.optimizers:SGD", "Gradient descent with momentum."),
        "constant": Entry(
            "genkit.training.rate_schedules:Constant", "Rises from 0 over `warmup` iterations, then stays at 1."
        ),
        "linear": Entry(
            "genkit.training.rate_schedules:Linear",
            "Stays at 1 until iteration `start`, then falls in a straight line to `floor`.",
        ),
        "cosine": Entry(
            "genkit.training.rate_schedules:Cosine",
            "Rises over `warmup` iterations, then half a cosine to `floor`. Loshchilov & Hutter 2017.",
            ("loshchilov2017sgdr",),
        ),
        "inverse": Entry(
            "genkit.training.rate_schedules:Inverse",
            "(1 + rate * iteration)^-power. Ganin & Lempitsky 2015, by the share of the run done.",
            ("ganin2015backprop", "balaji2020robust"),
        ),
    },
}
