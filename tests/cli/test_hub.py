"""genkit push and pull, over a folder that stands for the hub."""

from __future__ import annotations

import logging
import re
from pathlib import Path

import pytest
import torch
import yaml
from huggingface_hub import constants, errors

from genkit.core.card import hub_card
from genkit.core.errors import WeightsError
from genkit.core.generator import Generator
from genkit.core.pretrained import Pretrained
from genkit.gan.gan import GAN
from genkit.gan.networks.dcgan import DCGANGenerator
from tests.cli.console import refusal, run
from tests.core.hub_stand_in import StandIn, raised

Capture = pytest.CaptureFixture[str]
NAME = "ada/digits"


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StandIn:
    monkeypatch.chdir(tmp_path)
    return StandIn(tmp_path, monkeypatch)


@pytest.fixture
def gan(tmp_path: Path) -> GAN:
    torch.manual_seed(1)
    made = GAN(DCGANGenerator(3, size=8, width=4))
    made.save_pretrained(tmp_path / "gan")
    return made


def header(text: str) -> dict[str, object]:
    found = re.match(r"---\n(.*?)\n---\n", text, re.DOTALL)
    assert found
    told: dict[str, object] = yaml.safe_load(found[1])
    return told


def sample(generator: Generator) -> torch.Tensor:
    return generator.sample(3, rng=torch.Generator().manual_seed(0))


def test_what_is_pushed_is_pulled_and_loaded_by_its_id(hub: StandIn, gan: GAN, capsys: Capture) -> None:
    ran = run(capsys, "push", "gan", NAME, "--license", "mit", "--dataset", "ylecun/mnist")
    assert ran.code == 0 and ran.out == f"gan is at https://huggingface.co/{NAME}\n"
    sent = hub.place(NAME)
    assert {p.name for p in sent.iterdir()} == {"config.json", "model.safetensors", "README.md"}
    card = (sent / "README.md").read_text()
    told = header(card)
    assert told["license"] == "mit" and told["library_name"] == "genkit" and told["datasets"] == ["ylecun/mnist"]
    assert told["tags"] == ["genkit", "image-generation", "gan", "dcgan-generator"]
    assert f'from_pretrained("{NAME}")' in card
    assert sample(Generator.from_pretrained(NAME)).equal(sample(gan))
    ran = run(capsys, "pull", NAME)
    assert ran.code == 0 and f"weights of {NAME}" in ran.out
    assert sample(Generator.from_pretrained("digits")).equal(sample(gan))
    assert run(capsys, "pull", NAME, "--out", "there/it").code == 0
    assert sample(Generator.from_pretrained("there/it")).equal(sample(gan)), "a folder wins over an id"


def test_neither_way_takes_a_pickle_or_anything_else(hub: StandIn, gan: GAN, tmp_path: Path, capsys: Capture) -> None:
    for name in ("pytorch_model.bin", "notes.txt", "run.py", ".lock", "optimizer.pt"):
        (tmp_path / "gan" / name).write_bytes(b"anything")
    assert run(capsys, "push", "gan", NAME).code == 0
    assert {p.name for p in hub.place(NAME).iterdir()} == {"config.json", "model.safetensors", "README.md"}
    for name in ("pytorch_model.bin", "run.py", "model.pkl", "critic/pytorch_model.bin"):
        (hub.place(NAME) / name).parent.mkdir(exist_ok=True)
        (hub.place(NAME) / name).write_bytes(b"anything")
    assert run(capsys, "pull", NAME).code == 0
    assert {p.name for p in (tmp_path / "digits").rglob("*")} == {"config.json", "model.safetensors", "README.md"}
    assert {Path(file).suffix for file in hub.taken} == {".json", ".safetensors", ".md"}


def test_a_branch_and_a_revision_can_be_named(hub: StandIn, gan: GAN, capsys: Capture) -> None:
    assert run(capsys, "push", "gan", NAME).code == 0
    other = GAN(DCGANGenerator(3, size=8, width=4))
    other.save_pretrained("other")
    ran = run(capsys, "push", "other", f"{NAME}@better")
    assert ran.out.endswith("/ada/digits/tree/better\n")
    assert sample(Generator.from_pretrained(NAME)).equal(sample(gan))
    assert sample(Generator.from_pretrained(f"{NAME}@better")).equal(sample(other))
    assert run(capsys, "pull", f"{NAME}@better").code == 0
    assert sample(Generator.from_pretrained("digits")).equal(sample(other))
    assert refusal(capsys, "pull", f"{NAME}@worse", "--out", "x") == "the hub has no revision 'worse' of ada/digits"


def test_a_run_is_sent_with_its_data_and_its_critic(
    hub: StandIn, finished: Path, tmp_path: Path, capsys: Capture
) -> None:
    assert run(capsys, "push", finished, NAME, "--private").code == 0
    sent = {str(p.relative_to(hub.place(NAME))) for p in hub.place(NAME).rglob("*") if p.is_file()}
    assert {"critic/config.json", "critic/model.safetensors", "products.json"} < sent and hub.private == {NAME}
    assert header((hub.place(NAME) / "README.md").read_text())["datasets"] == ["ylecun/mnist"]
    assert run(capsys, "pull", NAME).code == 0
    assert sample(Generator.from_pretrained("digits")).equal(sample(Generator.from_pretrained(finished)))
    assert type(Pretrained.from_pretrained("digits/critic")).__name__ == "DCGANCritic"


def test_new_weights_leave_nothing_of_the_old_ones(hub: StandIn, finished: Path, gan: GAN, capsys: Capture) -> None:
    assert run(capsys, "push", finished, NAME).code == 0
    assert run(capsys, "push", "gan", NAME).code == 0
    assert not list(hub.place(NAME).rglob("products.json")) and not list(hub.place(NAME).glob("critic/*"))


def test_a_repository_of_something_else_is_neither_taken_nor_replaced(hub: StandIn, gan: GAN, capsys: Capture) -> None:
    place = hub.place(NAME)
    place.mkdir(parents=True)
    nothing = f"the repository {NAME} holds no weights of genkit"
    for config in (None, '{"model_type": "bert"}', "[]", "{"):
        (place / "pytorch_model.bin").write_bytes(b"anything")
        (place / "model.safetensors").write_bytes(b"anything")
        if config:
            (place / "config.json").write_text(config)
        assert refusal(capsys, "pull", NAME).startswith(nothing)
        assert f"{NAME} exists and is not replaced" in refusal(capsys, "push", "gan", NAME)
    assert set(hub.taken) == {"config.json"}, "the weights of others are not downloaded"
    assert (place / "config.json").read_text() == "{"


@pytest.mark.parametrize("name", ["digits", "a/b/c", "/b", "a/", "@x", ""])
def test_what_is_no_id_is_refused_before_any_work(hub: StandIn, name: str, capsys: Capture) -> None:
    for line in (("push", "gan", name), ("pull", name)):
        told = refusal(capsys, *line)
        assert "owner/name" in told or "empty" in told


def test_errors_of_the_hub_are_one_line(hub: StandIn, gan: GAN, capsys: Capture) -> None:
    assert "the hub has no such repository, or a private one" in refusal(capsys, "pull", NAME)
    assert run(capsys, "push", "gan", NAME, "--private").code == 0
    hub.token = None
    assert "a private one that no token opens" in refusal(capsys, "pull", NAME)
    assert refusal(capsys, "push", "gan", NAME).startswith("no token of the hub is known; log in with 'hf auth login'")
    hub.token = "hf_token"
    for failure in (
        raised(errors.LocalEntryNotFoundError, "An error happened"),
        raised(errors.OfflineModeIsEnabled, "offline"),
        ConnectionError("no route"),
    ):
        hub.failure = failure
        for line in (("pull", NAME), ("push", "gan", NAME), ("sample", NAME, "-n", "1", "--out", "s")):
            assert refusal(capsys, *line).endswith("and the hub cannot be reached")
    denied = raised(errors.HfHubHTTPError, "403")
    denied.response = type("Response", (), {"status_code": 403})()  # type: ignore[attr-defined]
    hub.failure = denied
    assert "does not let this token write" in refusal(capsys, "push", "gan", NAME)
    hub.failure = RuntimeError("a disk\nof the hub is full")
    assert refusal(capsys, "pull", NAME).endswith("a disk")


def test_the_client_itself_is_understood_when_it_is_offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(WeightsError, match="cannot be reached"):
        Generator.from_pretrained("nobody/nothing")


def test_what_cannot_be_sent_is_refused(hub: StandIn, gan: GAN, tmp_path: Path, capsys: Capture) -> None:
    assert "no weights at nothing" in refusal(capsys, "push", "nothing", NAME)
    (tmp_path / "gan" / "model.safetensors").write_bytes(b"damaged")
    assert "damaged" in refusal(capsys, "push", "gan", NAME)
    assert not hub.place(NAME).exists()
    assert "exists and is not empty" in refusal(capsys, "pull", NAME, "--out", "gan")


def test_a_card_keeps_what_its_header_says() -> None:
    text = "---\nlicense: cc0-1.0\ntags: [mine]\nlanguage: en\n---\n# Mine\n\nSee ada/digits.\n"
    card = hub_card(text, {"type": "vae", "network": {"type": "vae_network"}}, NAME, datasets=["a/b"])
    assert header(card) == {
        "license": "cc0-1.0",
        "tags": ["mine", "genkit", "image-generation", "vae", "vae-network"],
        "language": "en",
        "library_name": "genkit",
        "datasets": ["a/b"],
    }
    assert card.endswith("# Mine\n\nSee ada/digits.\n") and card.count("---") == 2
    assert header(hub_card(card, {"type": "vae"}, NAME, "mit"))["license"] == "mit"
    assert header(hub_card("", {"type": "vae"}, NAME))["license"] == "unknown"
    for broken in ("---\na: [\n---\n", "---\njust words\n---\n"):
        with pytest.raises(WeightsError, match="its header is no"):
            hub_card(broken, {"type": "vae"}, NAME)


def test_attempts_of_the_client_are_not_told_line_by_line(hub: StandIn, capsys: Capture) -> None:
    hub.failure = ConnectionError("no route")
    refusal(capsys, "push", "gan", NAME)
    assert logging.getLogger("huggingface_hub.utils._http").getEffectiveLevel() == logging.ERROR
