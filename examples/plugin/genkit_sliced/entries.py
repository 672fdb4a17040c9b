"""The names that this package adds to genkit."""

from __future__ import annotations

from genkit.core.entry import Entries, Entry

PAPER = """\
@inproceedings{deshpande2018sliced,
  author    = {Deshpande, Ishan and Zhang, Ziyu and Schwing, Alexander G.},
  title     = {Generative Modeling Using the Sliced {W}asserstein Distance},
  booktitle = {CVPR},
  year      = {2018}
}"""

ENTRIES: Entries = {
    "networks": {
        "coordinate_generator": Entry(
            "genkit_sliced.network:CoordinateGenerator", "z -> images, every pixel from its place through sines.", ()
        )
    },
    "systems": {
        "sliced_wasserstein_training": Entry(
            "genkit_sliced.system:SlicedWassersteinTraining",
            "Random projections of real and generated batches, sorted and compared; no critic.",
            (PAPER,),
        )
    },
}
