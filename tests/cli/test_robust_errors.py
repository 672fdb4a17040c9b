"""Robust optimal transport asked for what cannot be: one line, from the recipe to the console."""

from __future__ import annotations

import pytest

from tests.cli.console import refusal

RECIPE = "digits/robust_wgan_closed_form"
NOT_HALF = "0 to below 0.5"


@pytest.mark.parametrize(
    ("override", "words"),
    [
        (
            "system.real_weighting={type: closed_form_weights, rho: -0.1}",
            "the radius of a chi-square ball is 0 or more",
        ),
        ("system.real_weighting={type: closed_form_weights, rho: .inf}", "rho: input should be a finite number"),
        ("system.real_weighting={type: closed_form_weights, rho: .nan}", "rho: input should be a finite number"),
        ("system.real_weighting={type: closed_form_weights}", "one of the two"),
        ("system.real_weighting={type: closed_form_weights, rho: 0.1, outlier_share: 0.1}", "one of the two"),
        ("system.real_weighting.outlier_share=0.5", NOT_HALF),
        ("system.real_weighting.outlier_share=-0.01", NOT_HALF),
        ("system.real_weighting.start=-1", "start"),
        ("system.penalties=[{type: sup_norm_penalty, outlier_share: 0.5}]", "outlier_share"),
        ("data={type: outlier_mixture, data: {type: digits, size: 16}, share: 0.5}", "share"),
        ("data={type: outlier_mixture, data: {type: digits, size: 16}, share: -0.1}", "share"),
        (
            "data={type: outlier_mixture, data: {type: digits, size: 16}, junk: {type: digits}}",
            "set size and channels of one to those of the other",
        ),
        (
            "system.real_weighting={type: robust_weights, rho: 1, network: {type: weight_network, channels: 1}}",
            "the network judges [1, 32, 32]",
        ),
    ],
)
def test_one_line(capsys: pytest.CaptureFixture[str], override: str, words: str) -> None:
    assert words in refusal(capsys, "train", RECIPE, override, "--dry-run")
