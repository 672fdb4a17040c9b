"""Evaluation beside clean-fid, torchmetrics and torch-fidelity, same inputs: `python -m benchmarks.evaluation`.

Every line is measured in a process of its own with one thread, one after the other, and printed as Markdown. CPU
seconds are those of the last call, after imports; memory is what the peak grew by. The Frechet distances have a closed
form: sigma2 = T sigma1 T for a symmetric positive T, whose distance is tr (I - T) sigma1 (I - T).
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

Measure = Callable[[], float]
TOOLS = {
    "frechet": ("clean-fid", "torchmetrics", "torch-fidelity", "genkit"),
    "frechet from features": ("clean-fid", "torch-fidelity", "genkit"),
    "kernel": ("clean-fid, 100 subsets", "torch-fidelity, 100 subsets", "torchmetrics, all pairs", "genkit, all pairs"),
    "precision": ("torch-fidelity", "genkit"),
    "inception features": ("torchmetrics", "torch-fidelity", "genkit"),
}


def gaussians(d: int, kind: str) -> tuple[list[np.ndarray], float]:
    """mu1, sigma1, mu2, sigma2 and their exact distance; `deficient` has rank d / 4."""
    rng = np.random.default_rng(d)
    rows = rng.normal(size=(2 * d if kind == "full" else d // 4, d)) * np.linspace(1, 0.3, d)
    sigma1 = rows.T @ rows / len(rows)
    factor = rng.normal(size=(d, d)) / np.sqrt(d)
    step = 0.1 * (factor @ factor.T)
    sigma2 = sigma1 + step @ sigma1 + sigma1 @ step + step @ sigma1 @ step
    mu1, mu2 = np.zeros(d), rng.normal(size=d) * 0.01
    return [mu1, sigma1, mu2, (sigma2 + sigma2.T) / 2], float(mu2 @ mu2 + np.sum((step @ sigma1) * step))


def features(n: int, d: int) -> tuple[np.ndarray, np.ndarray]:
    """Two sets of (n, d) float32 with correlated columns."""
    rng = np.random.default_rng(d)
    mix = rng.normal(size=(d, d)) / np.sqrt(d)
    real, fake = rng.normal(size=(n, d)) @ mix, rng.normal(size=(n, d)) * 1.05 @ mix + 0.02
    return real.astype(np.float32), fake.astype(np.float32)


def frechet(tool: str, d: int, kind: str) -> tuple[Measure, float]:
    (m1, s1, m2, s2), exact = gaussians(d, kind)
    tensors = [torch.from_numpy(a) for a in (m1, s1, m2, s2)]
    if tool == "clean-fid":
        from cleanfid.fid import frechet_distance

        return lambda: float(frechet_distance(m1, s1, m2, s2)), exact
    if tool == "torchmetrics":
        from torchmetrics.image.fid import _compute_fid

        return lambda: float(_compute_fid(*tensors)), exact
    if tool == "torch-fidelity":
        from torch_fidelity.metric_fid import fid_statistics_to_metric

        a, b = {"mu": m1, "sigma": s1}, {"mu": m2, "sigma": s2}
        return lambda: fid_statistics_to_metric(a, b, False)["frechet_inception_distance"], exact
    from genkit.evaluation.functional import frechet_distance as ours

    return lambda: ours(*tensors), exact


def frechet_from_features(tool: str, d: int, n: int) -> Measure:
    real, fake = features(n, d)
    if tool == "clean-fid":
        from cleanfid.fid import fid_from_feats

        return lambda: float(fid_from_feats(real, fake))
    if tool == "torch-fidelity":
        from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric

        x, y = torch.from_numpy(real), torch.from_numpy(fake)
        both = lambda: (fid_features_to_statistics(x), fid_features_to_statistics(y))  # noqa: E731
        return lambda: fid_statistics_to_metric(*both(), False)["frechet_inception_distance"]
    from genkit.evaluation.functional import frechet_distance_from_features

    return lambda: frechet_distance_from_features(real, fake)


def kernel(tool: str, d: int, n: int) -> Measure:
    real, fake = features(n, d)
    if tool.startswith("clean-fid"):
        from cleanfid.fid import kernel_distance

        return lambda: kernel_distance(real, fake)
    if tool.startswith("torch-fidelity"):
        from torch_fidelity.metric_kid import kid_features_to_metric

        x, y = torch.from_numpy(real), torch.from_numpy(fake)
        return lambda: kid_features_to_metric(x, y, verbose=False)["kernel_inception_distance_mean"]
    if tool.startswith("torchmetrics"):
        from torchmetrics.image.kid import poly_mmd

        x, y = torch.from_numpy(real).double(), torch.from_numpy(fake).double()
        return lambda: float(poly_mmd(x, y))
    from genkit.evaluation.functional import kernel_distance as ours

    return lambda: ours(real, fake)


def precision(tool: str, d: int, n: int) -> Measure:
    real, fake = features(n, d)
    if tool == "torch-fidelity":
        from torch_fidelity.metric_prc import prc_features_to_metric

        x, y = torch.from_numpy(fake).double(), torch.from_numpy(real).double()
        return lambda: prc_features_to_metric(x, y, verbose=False)["precision"]
    from genkit.evaluation.functional import precision_recall

    return lambda: precision_recall(real, fake)[0]


def inception_features(tool: str, size: int, n: int) -> Measure:
    """Mean feature of n images of this size; random weights in a file, batches of 8."""
    from genkit.evaluation.extractors import inception
    from genkit.evaluation.extractors.fid_inception import FIDInception

    torch.manual_seed(0)
    path = Path(tempfile.mkdtemp()) / "w.pth"
    network = FIDInception()
    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(module.weight)
    torch.save(network.state_dict(), path)
    images = torch.randint(0, 256, (n, 3, size, size), dtype=torch.uint8)
    extract: Any
    if tool == "genkit":
        ours = inception.inception(path)
        extract = lambda x: ours(x).features  # noqa: E731
    elif tool == "torchmetrics":
        from torchmetrics.image.fid import NoTrainInceptionV3

        extract = NoTrainInceptionV3("inception-v3-compat", ["2048"], str(path))
    else:
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

        theirs = FeatureExtractorInceptionV3("inception-v3-compat", ["2048"], str(path))
        extract = lambda x: theirs(x)[0]  # noqa: E731
    with torch.no_grad():
        extract(images[:2])
        return lambda: float(torch.cat([extract(part) for part in images.split(8)]).mean())


def measure(what: str, tool: str, d: int, case: str, repeats: int) -> dict[str, Any]:
    """Value, error, CPU seconds of the last call, memory, and the largest difference of a repeat."""
    warnings.simplefilter("ignore")
    exact: float | None = None
    if what == "frechet":
        call, exact = frechet(tool, d, case)
    else:
        makers = {"frechet from features": frechet_from_features, "kernel": kernel, "precision": precision}
        call = makers.get(what, inception_features)(tool, d, int(case))
    before, values, seconds = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, list[float](), 0.0
    for _ in range(repeats):
        started = time.process_time()
        values.append(call())
        seconds = time.process_time() - started
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    error = None if exact is None else abs(values[0] - exact) / exact
    repeat = max(values) - min(values) if repeats > 1 else None
    return {"value": values[0], "error": error, "cpu": seconds, "mib": grown / 1024, "repeat": repeat}


def jobs(largest: int) -> list[tuple[str, int, str, int]]:
    """(what, d, case, repeats)."""
    frechets = [("frechet", d, kind, 2 if d < 2048 else 1) for d in (64, 512, 2048) for kind in ("full", "deficient")]
    others = [
        ("frechet from features", 512, "2000", 2),
        ("frechet from features", 2048, "500", 1),
        ("kernel", 512, "2000", 2),
        ("precision", 512, "3000", 2),
        ("inception features", 32, "16", 1),
    ]
    large = [("kernel", 2048, "10000", 1), ("precision", 2048, "10000", 1)]
    return [job for job in [*frechets, *others, *large] if job[1] <= largest]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--one", nargs=5, metavar=("WHAT", "TOOL", "D", "CASE", "REPEATS"))
    parser.add_argument("--largest", type=int, default=2048, help="leave out larger dimensions")
    arguments = parser.parse_args()
    if arguments.one:
        what, tool, d, case, repeats = arguments.one
        print(json.dumps(measure(what, tool, int(d), case, int(repeats))))
        return
    print(f"{os.cpu_count()} CPUs, torch {torch.__version__}\n", flush=True)
    print("| what | d | case | tool | value | relative error | CPU s | memory MiB | repeat differs by |")
    print("| --- | ---: | --- | --- | ---: | ---: | ---: | ---: | ---: |", flush=True)
    for what, d, case, repeats in jobs(arguments.largest):
        for tool in TOOLS[what]:
            if case != "10000" or tool.startswith("genkit"):
                print(line(what, tool, d, case, repeats), flush=True)


def line(what: str, tool: str, d: int, case: str, repeats: int) -> str:
    job = [what, tool, str(d), case, str(repeats)]
    command = [sys.executable, "-m", __spec__.name, "--one", *job]
    one_thread = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=one_thread)
    shown = case if what == "frechet" else f"n = {case}"
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        return f"| {what} | {d} | {shown} | {tool} | failed: {reason} | | | | |"
    found = json.loads(done.stdout.strip().splitlines()[-1])
    error, repeat = ("" if found[k] is None else f"{found[k]:.1e}" for k in ("error", "repeat"))
    return (
        f"| {what} | {d} | {shown} | {tool} | {found['value']:.10g} | {error} | {found['cpu']:.2f} "
        f"| {found['mib']:.0f} | {repeat} |"
    )


if __name__ == "__main__":
    main()
