"""Names of samplers that read a ratio of densities."""

from __future__ import annotations

from genkit.core.entry import Entries, Entry

SAMPLERS: Entries = {
    "generators": {
        "rejection": Entry(
            "genkit.posthoc.rejection.rejection:Rejection",
            "Samples of a generator that pass discriminator rejection (DRS).",
            ("azadi2019drs",),
        ),
        "metropolis_hastings": Entry(
            "genkit.posthoc.rejection.metropolis_hastings:MetropolisHastings",
            "Ends of chains over the samples of a generator (MH-GAN).",
            ("turner2019mhgan",),
        ),
        "latent_langevin": Entry(
            "genkit.posthoc.rejection.latent_samplers:LatentLangevin",
            "Samples of a generator whose latents have moved by Langevin dynamics, uphill in a ratio (DDLS).",
            ("che2020ddls",),
        ),
        "latent_transport": Entry(
            "genkit.posthoc.rejection.latent_samplers:LatentTransport",
            "Samples of a generator whose latents have moved uphill in a ratio, near where they began (DOT).",
            ("tanaka2019dot",),
        ),
    },
    "systems": {
        "keep_training": Entry(
            "genkit.posthoc.rejection.keep_training:KeepTraining",
            "The critic goes on learning against a finished generator, whose samples it then rejects (DRS).",
            ("azadi2019drs",),
        ),
    },
    "networks": {
        "density_ratio": Entry(
            "genkit.posthoc.rejection.density_ratio:DensityRatio",
            "The log ratio of the densities of data and generator, read off a critic.",
            ("goodfellow2014gan",),
        ),
        "ratio_head": Entry(
            "genkit.posthoc.rejection.density_ratio:RatioHead",
            "A logistic head on features of a critic.",
            ("azadi2019drs",),
        ),
        "platt": Entry(
            "genkit.posthoc.rejection.calibration:Platt",
            "A straight line from scores to logits, of the greatest likelihood.",
            ("platt1999", "turner2019mhgan"),
        ),
        "isotonic": Entry(
            "genkit.posthoc.rejection.calibration:Isotonic",
            "A monotone map from scores to probabilities.",
            ("zadrozny2002", "turner2019mhgan"),
        ),
    },
}
