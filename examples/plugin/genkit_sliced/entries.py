"""The names that this package adds to genkit."""

from __future__ import annotations

from genkit.core.entry import Entries, Entry

SLICED = """\
@inproceedings{deshpande2018sliced,
  author    = {Deshpande, Ishan and Zhang, Ziyu and Schwing, Alexander G.},
  title     = {Generative Modeling Using the Sliced {W}asserstein Distance},
  booktitle = {CVPR},
  year      = {2018}
}"""

MODE_SEEKING = """\
@inproceedings{mao2019modeseeking,
  author    = {Mao, Qi and Lee, Hsin-Ying and Tseng, Hung-Yu and Ma, Siwei and Yang, Ming-Hsuan},
  title     = {Mode Seeking Generative Adversarial Networks for Diverse Image Synthesis},
  booktitle = {CVPR},
  year      = {2019}
}"""

ENTRIES: Entries = {
    "networks": {
        "coordinate_generator": Entry(
            "genkit_sliced.network:CoordinateGenerator", "z -> images, every pixel from its place through sines.", ()
        )
    },
    "techniques": {
        "mode_seeking": Entry(
            "genkit_sliced.technique:ModeSeeking",
            "weight / mean(|G(z) - G(z')| / |z - z'|): other latents are to make other samples.",
            (MODE_SEEKING,),
        )
    },
    "systems": {
        "sliced_wasserstein_training": Entry(
            "genkit_sliced.system:SlicedWassersteinTraining",
            "Random projections of real and generated batches, sorted and compared; no critic.",
            (SLICED,),
        )
    },
}
