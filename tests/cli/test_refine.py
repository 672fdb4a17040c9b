"""genkit refine, and genkit sample of refined weights."""

from __future__ import annotations

import functools
import json
import re
import signal
from pathlib import Path
from typing import Any

import pytest
import torch

from genkit.cli.main import main
from genkit.cli.sampler_options import configured
from genkit.cli.taught import known_to
from genkit.core.catalog import build
from genkit.core.columns.labels import Labels
from genkit.core.generator import Generator
from genkit.core.interruption import Interrupted
from genkit.core.pretrained import Pretrained, save_products
from genkit.diffusion.diffusion_generator import DiffusionGenerator
from genkit.evaluation.real_data import open_data
from genkit.gan.control.controlled import Controlled
from genkit.gan.control.encoder import ControlEncoder
from genkit.gan.gan import GAN
from genkit.images import pixels as images
from genkit.posthoc.rejection.density_ratio import DensityRatio
from genkit.posthoc.rejection.metropolis_hastings import MetropolisHastings
from genkit.posthoc.rejection.rejection import Rejection
from genkit.training.recipe import Recipe
from tests.cli.console import refusal, run
from tests.cli.test_series import on_two
from tests.contracts.specs import DCGAN_G, PLAIN_DDPM, UPSAMPLER, seeded
from tests.gan.control.test_split_mapping import small
from tests.training.tiny import on_processes

Capture = pytest.CaptureFixture[str]
DATA = "{type: gaussians8, n: 400}"
MLP: dict[str, Any] = {"width": 16, "depth": 1}


@pytest.fixture(scope="module")
def gan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of a GAN with its critic, as a run leaves them."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("gan")
    generator = build({"type": "gan", "network": {"type": "mlp_generator", "latent_dim": 2, **MLP}})
    save_products({"generator": generator, "critic": build({"type": "mlp_critic", **MLP})}, folder)
    return folder


def steps(ratio: str, n: int) -> list[str]:
    """The option, of a ratio that is trained."""
    return ["--steps", str(n)] if ratio in ("keep", "head", "fresh") else []


def test_a_checkpoint_is_chosen_by_other_samples_than_the_ratio_is_judged_on(
    gan: Path, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    from genkit.posthoc.rejection import fitting

    judged, honest = list[set[tuple[float, ...]]](), fitting.fitted

    def content(items: Any) -> set[tuple[float, ...]]:
        return {tuple(row) for row in items.rows(torch.arange(len(items))).tolist()}

    def watched(generator: Any, density: Any, items: Any, *rest: Any, **more: Any) -> Any:
        judged.append(content(items))
        return honest(generator, density, items, *rest, **more)

    monkeypatch.setattr(fitting, "fitted", watched)
    for number, held in enumerate(((), ("--held-out", DATA))):
        out = tmp_path / str(number)
        assert (
            run(capsys, "refine", gan, "--data", DATA, *held, "--out", out, "--ratio", "head", "--steps", 20).code == 0
        )
        recipe = Recipe.load(out / "training/recipe.yaml").to_dict()
        taught, looked = (content(build(spec, kind="data")) for spec in (recipe["data"], recipe["evaluate"]["against"]))
        assert judged[number] and not judged[number] & looked
        assert held or not (taught & (looked | judged[number])), "a fifth of the data, which nothing is fitted to"


def test_a_ratio_is_judged_on_other_data(gan: Path, tmp_path: Path, capsys: Capture) -> None:
    out, told = tmp_path / "refined", tmp_path / "told.json"
    assert run(capsys, "refine", gan, "--data", DATA, "--out", out, "--ratio", "raw", "--rate", "0.5").code == 0
    line = ["evaluate", out, "--metrics", "ratio", "--against", "{type: gaussians8, n: 300, seed: 5}"]
    ran = run(capsys, *line, "--json", told)
    assert ran.code == 0 and "n = 300 of each, seed 0" in ran.out and "said to be real" in ran.out, ran
    found = json.loads(told.read_text())
    assert f"{found['bce']:.4f}" in ran.out and found["chance"] == pytest.approx(0.6931, abs=1e-4)
    assert sum(count for _, _, count in found["curve"]) == 600 and found["against"]["n"] == 300
    assert run(capsys, *line).out == run(capsys, *line).out
    line[1] = gan
    assert "holds a GAN, which reads no ratio; genkit refine makes what does" in refusal(capsys, *line)
    assert "is asked for alone" in refusal(capsys, "evaluate", out, "--metrics", "ratio,fd", "--against", DATA)


@pytest.mark.parametrize("ratio", ["keep", "head", "fresh", "platt", "isotonic", "raw"])
def test_every_ratio_leads_to_weights(
    gan: Path, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch, ratio: str
) -> None:
    out = tmp_path / "refined"
    command = ["refine", str(gan), "--data", DATA, "--out", str(out), "--ratio", ratio, *steps(ratio, 20)]
    refined = run(capsys, *command, "--rate", "0.3")
    assert refined.code == 0, refined
    said = refined.out
    assert "30 % of the samples are kept" in said and "Dawid's Z" in said
    report = json.loads((out / "refinement.json").read_text())
    assert report["before"]["bce"] > 0 and report["after"]["curve"]
    assert (out / "training").is_dir() == (ratio in ("keep", "head", "fresh"))
    assert "proposals, 40 kept" in run(capsys, "sample", out, "-n", "40", "--out", tmp_path / "points").out
    with monkeypatch.context() as patched:
        patched.setattr("genkit.posthoc.rejection.rejection.Rejection._found", None)
        same = run(capsys, "sample", out, "-n", "4", "--rate", "0.3", "--out", tmp_path / "same")
        assert same.code == 0, "its own rate needs no burn-in"
    assert Generator.from_pretrained(out).sample(3).shape == (3, 2)


@pytest.mark.parametrize(
    ("ratio", "advice"),
    [
        ("raw", "calibrate it with --ratio keep, platt or isotonic"),
        ("keep", "train it longer with --steps, or take --ratio platt or isotonic"),
    ],
)
def test_a_ratio_that_is_not_calibrated_is_told_with_what_can_be_done(
    gan: Path, tmp_path: Path, capsys: Capture, ratio: str, advice: str
) -> None:
    command = ["refine", gan, "--data", DATA, "--out", tmp_path / "refined", "--ratio", ratio, *steps(ratio, 1)]
    assert f"; {advice}\n" in run(capsys, *command, "--rate", 0.3).out


def test_a_ratio_serves_every_sampler(gan: Path, tmp_path: Path, capsys: Capture) -> None:
    out, points = tmp_path / "refined", str(tmp_path / "points")
    assert (
        run(capsys, "refine", str(gan), "--data", DATA, "--out", str(out), "--ratio", "platt", "--sampler", "mh").code
        == 0
    )
    for options, said in (
        ((), "500 proposals, 5 kept"),
        (("--steps", "7"), "35 proposals, 5 kept"),
        (("--sampler", "rejection", "--rate", "0.5"), "log M"),
        (("--rate", "0.5"), "log M"),
        (("--sampler", "ddls", "--steps", "3"), "3 steps of the latents"),
        (("--sampler", "dot", "--steps", "3"), "3 steps of the latents"),
    ):
        assert said in run(capsys, "sample", out, "-n", "5", "--out", points, *options).out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--sampler", "mh", "--steps", "0"), "--steps: input should be greater than or equal to 1, got 0"),
        (("--sampler", "mh", "--rate", "0.2"), "--rate is not for the sampler mh, which takes --steps"),
        (("--steps", "3"), "--steps is not for the sampler rejection, which takes --rate"),
        (("--rate", "1e-9"), "a share of 1e-09 of the samples would be kept (rate 1e-09), which would not finish"),
    ],
)
def test_samplers_of_a_ratio_that_cannot_be(
    gan: Path, tmp_path: Path, capsys: Capture, options: tuple[str, ...], message: str
) -> None:
    refined = tmp_path / "refined"
    assert run(capsys, "refine", gan, "--data", DATA, "--out", refined, "--ratio", "raw").code == 0
    assert message in refusal(capsys, "sample", refined, "-n", 2, "--out", tmp_path / "points", *options)
    assert not (tmp_path / "points").exists()


def test_a_training_goes_on(gan: Path, tmp_path: Path, capsys: Capture) -> None:
    out = tmp_path / "refined"
    command = ["refine", str(gan), "--data", DATA, "--out", str(out), "--steps", "20"]
    assert run(capsys, *command).code == 0
    before = (out / "model.safetensors").read_bytes()
    assert "run" in refusal(capsys, *command)
    assert run(capsys, *command, "--resume").code == 0
    assert (out / "model.safetensors").read_bytes() == before


def test_a_head_reads_the_features_of_a_classifier(tmp_path: Path, capsys: Capture) -> None:
    torch.manual_seed(1)
    vae = {"type": "vae_network", "size": 8, "latent_dim": 2, "width": 8}
    build({"type": "vae", "network": vae}).save_pretrained(tmp_path / "vae")
    seen: Any = build({"type": "mlp_classifier", "size": 8, "classes": 3, **MLP})
    seen.save_pretrained(tmp_path / "seen")
    command = ["refine", tmp_path / "vae", "--data", "{type: digits, split: test, size: 8}", "--out", tmp_path / "out"]
    assert run(capsys, *command, "--features", tmp_path / "seen", "--steps", 20, "--rate", "0.3").code == 0
    ratio: Any = Rejection.from_pretrained(tmp_path / "out").ratio
    x = torch.rand(5, 1, 8, 8) * 2 - 1
    layer = ratio.head.layers[0]
    assert len(ratio.head.layers) == 1, "linear"
    assert ratio(x).equal((seen.features(x) @ layer.weight.T + layer.bias).squeeze(1).double())
    assert layer.weight.abs().sum() > 0 and "rejection" in run(capsys, "info", tmp_path / "out").out.lower()


def test_weights_without_a_critic_get_a_fresh_one(tmp_path: Path, capsys: Capture) -> None:
    vae = {"type": "vae_network", "size": 8, "latent_dim": 2, "width": 8}
    build({"type": "vae", "network": vae}).save_pretrained(tmp_path / "vae")
    data = "{type: digits, split: test, size: 8}"
    command = ["refine", str(tmp_path / "vae"), "--data", data, "--out", str(tmp_path / "out"), "--steps", "2"]
    assert "keeps none" in refusal(capsys, *command, "--ratio", "platt")
    assert not (tmp_path / "out").exists()
    assert run(capsys, *command).code == 0
    assert Generator.from_pretrained(tmp_path / "out").sample(2).shape == (2, 1, 8, 8)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--percentile", "101"], "0<=x<=100"),
        (["--rate", "0.2", "--percentile", "80"], "one of gamma, percentile and rate"),
        (["--percentile", "99.9"], "percentile 99.9 needs at least 20,000 samples of the burn-in, got 10,000"),
        (["--percentile", "100"], "(percentile 100), which would not finish"),
        (["--sampler", "mh", "--rate", "0.2"], "--rate is not for the sampler mh, which takes --chain"),
        (["--sampler", "dot", "--gamma", "0"], "--gamma is not for the sampler dot, which takes --chain"),
        (["--sampler", "mh", "--chain", "1000001"], "--chain: input should be less than or equal to 1000000"),
        (
            ["--chain", "3"],
            "--chain is not for the sampler rejection, which takes --rate, --percentile, --gamma, --burn-in",
        ),
        (["--step-size", "0.1"], "--step-size is not for the sampler rejection"),
        (["--sampler", "mh", "--burn-in", "100"], "--burn-in is not for the sampler mh, which takes --chain"),
        (["--sampler", "ddls", "--rate", "0.1"], "ddls, which takes --chain, --step-size"),
        (["--burn-in", "20", "--rate", "0.2"], "a share of 0.2 of the samples would be kept"),
        (["--rate", "0"], "is not in the range 0<x<1"),
        (["--rate", "1e-4"], "a share of 0.0001 of the samples would be kept (rate 0.0001), which would not finish"),
        (["--gamma", "40"], "of the samples would be kept (gamma 40), which would not finish"),
        (["--ratio", "platt", "--steps", "7"], "--steps is of a ratio that is trained (keep, head, fresh); platt"),
        (["--ratio", "raw", "--resume"], "--resume is of a ratio that is trained (keep, head, fresh); raw"),
        (["--held-out", "{type: gaussians8, n: 3}"], "a ratio is judged on at least 4 real samples, got 1"),
        (["--data", "{type: gaussians8, n: 20}"], "a ratio is judged on at least 4 real samples, got 2"),
        (["--data", "{type: digits, split: test, size: 8}"], "--data: samples of digits are [1, 8, 8], wanted [2]"),
        (["--held-out", "nowhere"], "nowhere"),
        (["--features", "nowhere"], "nowhere"),
        (
            ["--features", "mnist-classifier"],
            "--features: a Classifier takes samples [1, 28, 28], and the generator makes [2]",
        ),
        (
            ["--features", "digits-wgan-ratio-clipping"],
            "--features: a GAN has no features; a critic or a classifier has",
        ),
        (
            ["--features", "mnist-classifier", "--ratio", "platt"],
            "--features are read by --ratio head, and not by platt",
        ),
    ],
)
def test_bad_input_is_refused_before_work(
    gan: Path, tmp_path: Path, capsys: Capture, options: list[str], message: str
) -> None:
    data = [] if "--data" in options else ["--data", DATA]
    said = refusal(capsys, "refine", str(gan), *data, "--out", str(tmp_path / "out"), *options)
    assert message in said
    assert not (tmp_path / "out").exists()


def test_conditions_that_cannot_be_drawn_are_refused_before_work(tmp_path: Path, capsys: Capture) -> None:
    made = seeded(UPSAMPLER)
    made.save_pretrained(tmp_path / "upsampler")
    line = ("refine", tmp_path / "upsampler", "--data", "{type: digits, split: test, size: 8}", "--out")
    said = refusal(capsys, *line, tmp_path / "out")
    assert "condition 'low_res' must be given" in said and "and refine draws conditions itself" in said
    assert not (tmp_path / "out").exists()


def test_settings_of_samplers_are_kept_and_told(gan: Path, tmp_path: Path, capsys: Capture) -> None:
    line = ["refine", gan, "--data", DATA, "--ratio", "raw"]
    burnt, moved = tmp_path / "burnt", tmp_path / "moved"
    assert run(capsys, *line, "--rate", 0.3, "--burn-in", 600, "--out", burnt).code == 0
    assert Generator.from_pretrained(burnt).config["samples"] == 600
    told = " ".join(run(capsys, "info", burnt).out.split())
    assert re.search(r"kept (29|30|31)[.\d]* % of the proposals log M -?[\d.]+ gamma -?[\d.]+", told), told
    for sampler, name in (("ddls", "eta"), ("dot", "rate")):
        out = moved / sampler
        assert run(capsys, *line, "--sampler", sampler, "--step-size", 0.3, "--out", out).code == 0
        assert Generator.from_pretrained(out).config[name] == 0.3


@pytest.mark.parametrize(
    ("sampler", "settings", "another", "kept"),
    [
        ("ddls", ["--step-size", 0.3, "--chain", 4], ["--steps", 5], {"eta": 0.3, "steps": 5}),
        ("dot", ["--step-size", 0.3, "--chain", 4], ["--sampler", "dot", "--steps", 5], {"rate": 0.3, "steps": 5}),
        ("rejection", ["--burn-in", 600], ["--rate", 0.4], {"samples": 600, "rate": 0.4}),
        ("rejection", ["--burn-in", 600, "--percentile", 80], ["--rate", 0.4], {"samples": 600, "percentile": None}),
        ("mh", ["--chain", 4], ["--steps", 5], {"length": 5}),
    ],
)
def test_one_setting_that_is_exchanged_leaves_the_others(
    sampler: str, settings: list[Any], another: list[Any], kept: dict[str, Any], gan: Path, tmp_path: Path,
    capsys: Capture,
) -> None:  # fmt: skip
    out = tmp_path / "refined"
    line = ("refine", gan, "--data", DATA, "--ratio", "raw", "--sampler", sampler, *settings, "--out", out)
    assert run(capsys, *line).code == 0
    given = {another[i].lstrip("-"): str(another[i + 1]) for i in range(0, len(another), 2)}
    given |= {"rate": float(given["rate"])} if "rate" in given else {}  # type: ignore[dict-item]
    before = Generator.from_pretrained(out)
    found = configured(before, dict(given))
    assert {name: found.config[name] for name in kept} == kept
    if isinstance(before, MetropolisHastings) and isinstance(found, MetropolisHastings):
        assert len(before.starts) and found.starts.equal(before.starts)
    assert run(capsys, "sample", out, "-n", 3, *another, "--out", tmp_path / "drawn").code == 0


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A GAN of digits by class, with its critic."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("labelled")
    generator = build({"type": "gan", "network": {**DCGAN_G, "classes": 10}})
    critic = build({"type": "dcgan_critic", "size": 8, "channels": 1, "width": 4, "classes": 10})
    save_products({"generator": generator, "critic": critic}, folder)
    return folder


DIGITS = "{type: part, data: {type: digits, split: test, size: 8}, stop: 60}"
UNLABELLED = "{type: folder, path: PICTURES, size: 8, channels: 1, labels: false}"
OF_TWO = "{type: some_classes, data: {type: digits, split: test, size: 8}, classes: [4, 9]}"


@pytest.mark.parametrize("ratio", ["raw", "keep", "head", "fresh", "platt", "isotonic"])
@pytest.mark.parametrize("role", ["--data", "--held-out"])
def test_data_without_the_classes_that_are_asked_for_are_refused_before_work(
    role: str, ratio: str, labelled: Path, tmp_path: Path, capsys: Capture
) -> None:
    images.write_folder([torch.zeros(12, 1, 8, 8, dtype=torch.uint8)], tmp_path / "pictures")
    for spec, classes in ((UNLABELLED.replace("PICTURES", str(tmp_path / "pictures")), 0), (OF_TWO, 2)):
        given = {"--data": DIGITS, "--held-out": DIGITS, role: spec}
        line = [word for pair in given.items() for word in pair]
        said = refusal(capsys, "refine", labelled, *line, "--ratio", ratio, "--out", tmp_path / "out")
        assert said.startswith(f"{role}: ") and "takes 10 classes of 'label'" in said and str(classes) in said
        assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("role", ["--data", "--held-out"])
def test_classes_of_other_names_or_in_another_order_are_refused(
    role: str, labelled: Path, tmp_path: Path, capsys: Capture
) -> None:
    named = Pretrained.from_pretrained(labelled)
    named.class_names = tuple(str(k) for k in range(10))
    named.save_pretrained(tmp_path / "named")
    turned = "{type: some_classes, data: {type: digits, split: test, size: 8}, classes: [9, 8, 7, 6, 5, 4, 3, 2, 1, 0]}"
    given = {"--data": DIGITS, "--held-out": DIGITS, role: turned}
    line = [word for pair in given.items() for word in pair]
    said = refusal(capsys, "refine", tmp_path / "named", *line, "--ratio", "fresh", "--out", tmp_path / "out")
    assert said.startswith(f"{role}: ") and "class 0 is called '9', and the generator's '0'" in said
    assert not (tmp_path / "out").exists()


def test_a_ratio_is_not_judged_on_data_without_its_classes(labelled: Path, tmp_path: Path, capsys: Capture) -> None:
    out = tmp_path / "raw"
    line = ("refine", labelled, "--data", DIGITS, "--ratio", "raw", "--sampler", "mh", "--out", out)
    assert run(capsys, *line).code == 0
    images.write_folder([torch.zeros(12, 1, 8, 8, dtype=torch.uint8)], tmp_path / "pictures")
    said = refusal(capsys, "evaluate", out, "--metrics", "ratio", "--against", tmp_path / "pictures", "-n", 8)
    assert said.startswith("--against: ") and "takes 10 classes of 'label', but the data have 0" in said
    two = "{type: some_classes, data: {type: digits, split: test, size: 8}, classes: [1, 2]}"
    said = refusal(capsys, "evaluate", out, "--metrics", "ratio", "--against", two, "-n", 8)
    assert "takes 10 classes of 'label', but the data have 2" in said


THREE = "{type: some_classes, data: {type: digits, split: test, size: 8, channels: 3}, classes: [1, 2, 3]}"


def test_a_generator_that_chooses_the_class_itself_gets_a_critic_without_classes(
    tmp_path: Path, capsys: Capture
) -> None:
    torch.manual_seed(0)
    generator = GAN(small(size=8, widths=[8, 6], split={"label": 3, "rest": 6}))
    controlled = Controlled(generator, {"label": ControlEncoder(Labels(3), 3, 8)})
    critic = build({"type": "dcgan_critic", "size": 8, "channels": 3, "width": 4, "classes": 3})
    save_products({"controlled": controlled, "critic": critic}, tmp_path / "w")
    line = ["refine", tmp_path / "w", "--data", THREE, "--ratio", "fresh", "--steps", 1, "--burn-in", 60]
    assert run(capsys, *line, "--gamma", -20, "--out", tmp_path / "fresh").code == 0
    for asked in ([], ["--label", 1], ["--label", "free"], ["--sampler", "mh", "--steps", 2]):
        name = "-".join(map(str, asked)) or "unasked"
        assert run(capsys, "sample", tmp_path / "fresh", "-n", 3, *asked, "--out", tmp_path / name).code == 0
    judge = build({"type": "classifier", "size": 8, "channels": 3, "classes": 3, "width": 4})
    judge.save_pretrained(tmp_path / "judge")
    head = [
        *line[:4],
        "--ratio",
        "head",
        "--features",
        tmp_path / "judge",
        "--steps",
        1,
        "--burn-in",
        60,
        "--gamma",
        -20,
    ]
    assert run(capsys, *head, "--out", tmp_path / "head").code == 0, "features are of images alone"
    refined = Generator.from_pretrained(tmp_path / "fresh")
    assert isinstance(refined, Rejection) and len(refined.log_m) == 4, "three classes, and those left free"
    said = refusal(capsys, *line[:4], "--ratio", "raw", "--out", tmp_path / "raw")
    assert "one of 3 classes, and the generator may be left to choose one: take --ratio fresh" in said


def test_held_out_samples_that_the_critic_knows_are_told(finished: Path, tmp_path: Path, capsys: Capture) -> None:
    spec = json.dumps(Recipe.load(finished / "recipe.yaml").data)
    line = ["refine", finished, "--data", spec, "--ratio", "raw", "--sampler", "mh"]
    told = run(capsys, *line, "--out", tmp_path / "own")
    seen = json.loads((tmp_path / "own/refinement.json").read_text())["seen_before"]["by_critic"]
    assert told.code == 0 and seen > 10 and f"the critic was trained on {seen:,} samples" in told.err + told.out
    pictures = tmp_path / "pictures"
    some = build({"type": "part", "data": {"type": "digits", "size": 28}, "stop": 40}, kind="data")
    images.write_folder([some.x], pictures)
    told = run(capsys, *line, "--held-out", pictures, "--out", tmp_path / "files")
    assert told.code == 2 and "takes 10 classes" in told.err
    others = "{type: shifted, data: {type: digits, split: test}, inverted: true}"
    told = run(capsys, *line, "--held-out", others, "--out", tmp_path / "others")
    assert told.code == 0 and "the critic was trained on" not in told.err + told.out
    assert json.loads((tmp_path / "others/refinement.json").read_text())["seen_before"]["by_critic"] == 0


def test_samples_that_a_ratio_learns_from_and_is_judged_on_are_told(gan: Path, tmp_path: Path, capsys: Capture) -> None:
    line = ["refine", gan, "--data", DATA, "--ratio", "fresh", *steps("fresh", 1), "--sampler", "mh"]
    for held, shared in ((DATA, 200), ("{type: gaussians8, n: 400, seed: 7}", 0)):
        out = tmp_path / str(shared)
        told = run(capsys, *line, "--held-out", held, "--out", out)
        assert json.loads((out / "refinement.json").read_text())["seen_before"] == {"by_critic": 0, "by_ratio": shared}
        assert told.code == 0 and (f"{shared} of the samples" in told.out + told.err) == bool(shared), told


def test_the_weights_of_a_run_know_what_the_run_knows(finished: Path, capsys: Capture, tmp_path: Path) -> None:
    spec = json.dumps(Recipe.load(finished / "recipe.yaml").data)
    found = open_data(spec, (1, 28, 28), "")
    assert known_to(str(finished / "weights"), found) == known_to(str(finished), found) == len(found)


@pytest.mark.parametrize("sampler", ["ddls", "dot"])
def test_a_ratio_without_a_gradient_is_refused_before_it_is_judged(
    sampler: str, gan: Path, tmp_path: Path, capsys: Capture
) -> None:
    line = ["refine", gan, "--data", DATA, "--ratio", "isotonic", "--sampler", sampler, "--out", tmp_path / "out"]
    said = refusal(capsys, *line)
    assert f"--sampler {sampler} follows the gradient" in said and not (tmp_path / "out").exists()


def test_what_a_critic_without_a_record_knows_is_not_known(gan: Path, tmp_path: Path, capsys: Capture) -> None:
    line = ["refine", gan, "--data", DATA, "--sampler", "mh", "--ratio"]
    for kind, held, told in (("raw", [], True), ("raw", ["--held-out", DATA], False), ("fresh", [], False)):
        ran = run(capsys, *line, kind, *steps(kind, 1), *held, "--out", tmp_path / f"{kind}-{len(held)}")
        assert ran.code == 0 and ("it is not known whether the critic" in ran.err + ran.out) == told


def test_a_score_that_is_the_ratio_is_told_once(gan: Path, tmp_path: Path, capsys: Capture) -> None:
    for ratio, times in (("raw", 0), ("head", 0), ("keep", 1), ("platt", 1)):
        line = ["refine", gan, "--data", DATA, "--out", tmp_path / ratio, "--ratio", ratio, *steps(ratio, 30)]
        assert run(capsys, *line, "--rate", 0.3).out.count("the critic's score") == times
    told = {ratio: json.loads((tmp_path / ratio / "refinement.json").read_text()) for ratio in ("raw", "keep")}
    assert told["keep"]["before"]["bce"] == pytest.approx(told["raw"]["after"]["bce"], abs=0.1), "on other samples"
    assert told["keep"]["before"]["bce"] > told["keep"]["after"]["bce"]


def test_the_cost_that_is_told_is_of_all_processes_and_of_what_was_made_now(tmp_path: Path, capsys: Capture) -> None:
    ratio = DensityRatio(build({"type": "dcgan_critic", "size": 8, "width": 4}))
    made = Rejection(seeded({"type": "gan", "network": DCGAN_G}), ratio, rate=0.5, samples=200)
    made.burn_in()
    made.save_pretrained(tmp_path / "refined")
    line = ["sample", str(tmp_path / "refined"), "-n", "9", "--batch-size", "2", "--out"]
    one = run(capsys, *line, tmp_path / "one").out
    proposals = re.search(r"(\d+) proposals, 9 kept", one)
    assert proposals, one
    two = on_two(*line, str(tmp_path / "two"))
    assert two.returncode == 0 and f"{proposals[1]} proposals, 9 kept" in two.stdout, two
    for name in ("000002.png", "000007.png"):
        (tmp_path / "one" / name).unlink()
    again = run(capsys, *line, tmp_path / "one").out
    assert re.search(r"those made now: \d+ proposals, 4 kept", again), again


def test_options_of_refined_weights_are_refused_elsewhere(gan: Path, tmp_path: Path, capsys: Capture) -> None:
    assert "genkit refine" in refusal(capsys, "sample", str(gan), "--sampler", "mh", "--out", str(tmp_path / "out"))


@pytest.fixture
def ddpm(tmp_path: Path) -> Path:
    """Of a hundred steps, of which nobody would draw a pool of thousands."""
    return seeded({**PLAIN_DDPM, "solver": {"type": "ancestral", "steps": "20"}}).save_pretrained(tmp_path / "ddpm")


def test_a_diffusion_is_refined_as_it_will_be_sampled(
    ddpm: Path, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("genkit.core.display.PATIENCE_S", -1.0)
    monkeypatch.setattr("genkit.cli.refine_recipe.POOL", 300)
    monkeypatch.setattr("genkit.posthoc.rejection.rejection.Rejection.burn_in", functools.partialmethod(few_of, 300))
    out, data = tmp_path / "out", "{type: part, data: {type: digits, split: test, size: 8}, stop: 200}"
    command = ["refine", ddpm, "--data", data, "--out", out, "--steps", 2]
    refined = run(capsys, *command, "--solver", "ddim", "--sampling-steps", "2")
    assert refined.code == 0, refined
    assert all(f"{what} " in refined.out for what in ("pool 300/300", "judging", "burn-in 300/300")), refined.out
    solver = json.loads((out / "config.json").read_text())["generator"]["solver"]
    assert (solver["type"], solver["steps"]) == ("ddim", "2")
    assert "generator-" in (out / "training/recipe.yaml").read_text()
    said = refusal(capsys, *command, "--solver", "ddim", "--sampling-steps", "3", "--resume")
    assert "was begun with other options" in said and "choose another --out" in said and "--from" not in said


def test_dear_samples_that_were_drawn_before_a_stop_are_not_drawn_again(
    ddpm: Path, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("genkit.cli.refine_recipe.POOL", 600)
    monkeypatch.setattr("genkit.posthoc.rejection.rejection.Rejection.burn_in", functools.partialmethod(few_of, 300))
    made, limit, sample = list[int](), [10**9], DiffusionGenerator._sample

    def counted(self: Any, condition: Any, rows: Any) -> torch.Tensor:
        if sum(made) >= limit[0]:
            signal.raise_signal(signal.SIGTERM)
            raise Interrupted(signal.SIGTERM)
        made.append(len(rows))
        return sample(self, condition, rows)

    monkeypatch.setattr(DiffusionGenerator, "_sample", counted)
    data = "{type: part, data: {type: digits, split: test, size: 8}, stop: 200}"
    command = ["refine", ddpm, "--data", data, "--steps", 2, "--solver", "ddim", "--sampling-steps", "2", "--out"]
    straight = run(capsys, *command, tmp_path / "straight")
    assert straight.code == 0 and "proposals keeps the samples that were drawn, for --resume" in straight.out
    whole, left = sum(made), []
    made.clear()
    for limit[0] in (500, 850, whole - 250, 10**9):  # in the pool, in a burn-in, in the last one
        left.append(run(capsys, *command, tmp_path / "stopped", "--resume").code)
    assert left == [143, 143, 143, 0] and sum(made) == whole, (made, whole)
    for name in ("model.safetensors", "refinement.json"):
        assert (tmp_path / "straight" / name).read_bytes() == (tmp_path / "stopped" / name).read_bytes()
    assert run(capsys, *command, tmp_path / "straight", "--resume", "--rate", "0.5").code == 0
    assert sum(made) == whole, "another rate needs no sample"


BURN_IN = Rejection.burn_in


def few_of(sampler: Any, n: int, *given: Any, **options: Any) -> None:
    sampler.samples = n
    BURN_IN(sampler, *given, **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--sampling-steps", "5"), "--sampling-steps is for diffusion models; this is a GAN"),
        (("--solver", "ddim"), "--solver is for diffusion models; this is a GAN"),
    ],
)
def test_a_generator_without_steps_takes_none(
    gan: Path, tmp_path: Path, capsys: Capture, options: tuple[str, ...], message: str
) -> None:
    assert message in refusal(capsys, "refine", gan, "--data", DATA, "--out", tmp_path / "out", *options)
    assert not (tmp_path / "out").exists()


def refine_here(gan: Path, folder: Path) -> None:
    for ratio in ("platt", "keep"):
        words = ["refine", str(gan), "--data", DATA, "--out", str(folder / ratio), "--ratio", ratio, *steps(ratio, 4)]
        if code := main(words):
            raise SystemExit(code)


def test_two_processes_fit_what_one_fits(gan: Path, tmp_path: Path) -> None:
    refine_here(gan, tmp_path / "one")
    assert on_processes(2, refine_here, tmp_path, gan, tmp_path / "two") == [0, 0]
    for name in ("refinement.json", "model.safetensors"):
        assert (tmp_path / "one/platt" / name).read_bytes() == (tmp_path / "two/platt" / name).read_bytes()
    one, two = (json.loads((tmp_path / n / "keep/refinement.json").read_text()) for n in ("one", "two"))
    assert one["after"]["bce"] == pytest.approx(two["after"]["bce"], rel=1e-4), "trained by sums in another order"


def test_advice_about_a_training_that_left_the_numbers_names_its_command(
    gan: Path, capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from genkit.posthoc.rejection.keep_training import KeepTraining

    honest = KeepTraining.loss
    monkeypatch.setattr(KeepTraining, "loss", lambda self, x, **rest: honest(self, x * torch.nan, **rest))
    out = tmp_path / "refined"
    line = refusal(capsys, "refine", gan, "--data", DATA, "--out", out, "--steps", 20)
    assert (
        "the ratio's loss is not finite" in line
        and f"'genkit train {out / 'training'}/recipe.yaml --out {out / 'training'}'" in line
    )
