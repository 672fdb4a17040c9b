"""Weights of published extractors: read without running code from a local file, or from a verified download."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from genkit.core.errors import EvaluationError, GenkitError, WeightsError, first_line
from genkit.core.files import being_written, cache_folder, remove_leftovers, sha256_of_file
from genkit.core.tensors import kind

TIMEOUT_S = 30


def load_state(network: nn.Module, path: Path) -> None:
    """The tensors of a .safetensors or torch file into `network`, which is frozen and set to eval.

    They replace the network's own, which may therefore be on the meta device: initialising takes longer than reading.

    Raises:
        WeightsError: missing, damaged, unsafe, or of another network: by names, shapes or kinds of tensors.
    """
    state = read_state(path)
    expected = network.state_dict()
    wrong = sorted(k for k, v in expected.items() if k not in state or state[k].shape != v.shape)
    other = sorted(k for k in expected if not wrong and kind(state[k].dtype) != kind(expected[k].dtype))
    own = {} if wrong or other else {k: state[k].to(v.dtype) for k, v in expected.items()}
    if wrong or other or not all(v.sum().isfinite() for v in own.values()):
        what = f"{wrong[0]!r} is missing or of another shape" if wrong else "numbers that are not finite"
        what = f"{other[0]!r} is {state[other[0]].dtype}, not {expected[other[0]].dtype}" if other else what
        raise WeightsError(f"{path} does not hold the weights of {type(network).__name__}: {what}")
    network.load_state_dict(own, assign=True)
    network.eval().requires_grad_(False)


def read_state(path: Path) -> dict[str, Tensor]:
    """Names and tensors of a file; no code in it runs.

    Raises:
        WeightsError: missing, damaged or unsafe.
    """
    if not path.is_file():
        raise WeightsError(f"{path} does not exist; give the file with the extractor's weights")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as bad:  # a damaged pickle can break the safe reader anywhere
        raise WeightsError(f"{path} is damaged or not a plain file of tensors ({first_line(bad)})") from bad
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        raise WeightsError(f"{path} must hold names and tensors only, got {type(state).__name__}")
    return state


def weights_folder() -> Path:
    """$GENKIT_CACHE/weights, else ~/.cache/genkit/weights: where downloads are kept."""
    return cache_folder() / "weights"


def find_or_download(name: str, urls: Sequence[str], sha256: str, option: str) -> Path:
    """A file of this content: from the cache, torch's hub cache, or the first address that gives it.

    Raises:
        EvaluationError: none has it, or the download has another hash; the message says where to put it by hand.
    """
    hub = Path(torch.hub.get_dir()) / "checkpoints"
    kept = weights_folder() / name
    for path in (kept, *(hub / Path(url).name for url in urls)):
        if path.is_file() and sha256_of_file(path) == sha256:
            return path
    reasons = [_download(url, kept, sha256) for url in urls if not kept.exists()]
    if kept.is_file() and sha256_of_file(kept) == sha256:
        return kept
    found = f"{kept} is damaged, delete it" if kept.exists() else reasons[0] if reasons else "no address"
    raise EvaluationError(
        f"no weights for {option}: {found}; download {urls[0]} elsewhere and give it as {option} weights"
    )


def _download(url: str, path: Path, sha256: str) -> str:
    """Fetches `url` to `path` if its hash is right; else says why not."""
    remove_leftovers(path.parent)
    try:
        with being_written(path) as file:
            for piece in _pieces(url):
                file.write(piece)
            file.flush()
            if sha256_of_file(file.name) != sha256:
                raise EvaluationError(f"{url} gave a file of another hash")
    except GenkitError as failure:
        return str(failure)
    return ""


def _pieces(url: str) -> Iterator[bytes]:
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_S) as answer:
            while piece := answer.read(2**20):
                yield piece
    except OSError as failure:  # among them URLError and TimeoutError
        raise EvaluationError(f"{url} cannot be reached ({getattr(failure, 'reason', failure)})") from failure
