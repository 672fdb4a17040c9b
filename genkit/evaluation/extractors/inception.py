"""The Inception network of FID, KID and IS: Inception-v3 of 2015-12-05, ported from TensorFlow (Heusel et al. 2017).

It differs from torchvision's: average pools leave padding out, the last block pools by maximum, 1008 classes. Batch
norm is folded into the convolutions once the weights are read.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from genkit.core.files import sha256_of_file
from genkit.evaluation.extractors.extractor import Extractor
from genkit.evaluation.extractors.resize import clean_fid
from genkit.evaluation.extractors.weights_file import find_or_download, load_state

SHA256 = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"
"""Hash of the 95,628,359 bytes that pytorch-fid and torch-fidelity publish."""

URLS = (
    "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/weights-inception-2015-12-05-6726825d.pth",
    "https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/pt_inception-2015-12-05-6726825d.pth",
)
FILE = "pt_inception-2015-12-05-6726825d.pth"


def inception(weights: str | Path | None = None) -> Extractor:
    """Features (2048) and logits (1008, without bias, as all tools take them) after TensorFlow 1's resize to 299.

    Args:
        weights: a local file, torch or safetensors; None looks in the cache, then downloads and checks the hash. Only
            the published file makes scores that are called FID; others carry their hash in the name.

    Raises:
        EvaluationError: no weights to be had.
        WeightsError: a damaged file or another network's.
    """
    return _extractor("inception", *_read(weights), resize="tf1")


def inception_clean(weights: str | Path | None = None) -> Extractor:
    """The same with clean-fid's resize, for scores comparable with clean-fid's: FID/clean."""
    return _extractor("inception/clean", *_read(weights), resize="clean", resizer=clean_fid)


def clean_without_weights() -> Extractor:
    """`inception_clean()` before its weights are read: all but the network."""
    return _extractor("inception/clean", nn.Identity(), SHA256, resize="clean", resizer=clean_fid)


def _read(weights: str | Path | None) -> tuple[nn.Module, str]:
    """The network and the hash of its file."""
    from genkit.evaluation.extractors.fid_inception import FIDInception

    path = Path(weights) if weights else find_or_download(FILE, URLS, SHA256, "inception")
    with torch.device("meta"):
        network = FIDInception()
    load_state(network, path)
    return network.folded(), sha256_of_file(path)


def _extractor(name: str, network: nn.Module, digest: str, **resizing: Any) -> Extractor:
    published = digest == SHA256
    return Extractor(
        name if published else f"{name}#{digest[:8]}",
        network,
        digest,
        channels=3,
        size=299,
        offset=128.0,
        scale=128.0,
        published=published,
        logits=True,
        **resizing,
    )
