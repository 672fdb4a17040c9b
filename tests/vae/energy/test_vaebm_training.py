"""The energy's training: the authors' recorded iterations, and what this one does beside them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from genkit.core import catalog
from genkit.core.errors import BadState, RecipeError
from genkit.core.randomness import Noise
from genkit.core.system import Batch
from genkit.core.tree import packed
from genkit.training import train
from genkit.training.log import read_metrics
from genkit.training.optimizers import Optimizer
from genkit.training.recipe import Recipe
from genkit.training.rollback import falls_of
from genkit.vae.energy.chains import PersistentChains
from genkit.vae.energy.decoder import noisy_decoder
from genkit.vae.energy.langevin import Langevin
from genkit.vae.energy.runaway import RunawayGuard
from genkit.vae.energy.vaebm import VAEBM
from genkit.vae.energy.vaebm_training import VAEBMTraining
from tests.contracts.specs import DIGITS, ENERGY_N, GAUSSIAN_VAE, LANGEVIN, finished, seeded
from tests.contracts.specs import VAEBM as SPEC
from tests.training.tiny import on_processes
from tests.vae.energy.fixtures import assert_energies, assert_gradient, ours, recorded
from tests.vae.energy.test_published_chains import CHAINS, PublishedDecoder, at, decoder_of


class Published(nn.Module):
    """Their decoder as a finished module."""

    sample_shape = PublishedDecoder.sample_shape

    def __init__(self, name: str):
        super().__init__()
        self.theirs, self.frozen = decoder_of(name), True
        self.latents, self.draw = self.theirs.latents, self.theirs.draw


class Replay:
    """The images and noise of one recorded iteration, in the order in which they were drawn."""

    def __init__(self, name: str, iteration: int):
        r, place = recorded(name), f"it{iteration}"
        latents, pixels = at(name, place, "_init")
        steps = [packed(at(name, f"{place}/step{k}", of="noise")) for k in range(r.config["num_steps"])]
        self.x, self.rows = 2 * r.io[f"{place}/x_pos"] - 1, iter([*latents, pixels, *steps])

    def __next__(self) -> Batch:
        return Batch(self.x, {}, torch.arange(len(self.x)))

    def normal(self, *shape: int) -> Tensor:
        found = next(self.rows)
        assert tuple(found.shape[1:]) == shape
        return found


@pytest.mark.parametrize("name", CHAINS)
def test_three_iterations_are_theirs(name):
    """Chains, negatives, gradients with the spectral penalty, and the weights after three steps of their optimiser."""
    r = recorded(name)
    c = r.config
    system = VAEBMTraining(
        VAEBM(Published(name), r.network()),
        Langevin(c["num_steps"], c["step_size"], "published"),
        negatives="mean" if c["use_mu_cd"] else "sample",
        spectral=c["alpha_s"],
    )
    for buffer, value in system.penalty.named_buffers():
        if buffer != "started":
            kind, _, shape = buffer.partition("_")
            value.copy_(r.io[f"sn/{kind}0/{shape}"])
    given = {"lr": c["lr"], "betas": c["betas"], "weight_decay": c["weight_decay"]}
    optimizer = catalog.convert(Optimizer, {"type": "adam_entry_clip", **given}).over(
        list(system.generator.energy.parameters())
    )
    for iteration in range(c["iters"]):
        system.requires_grad_(False)
        turns = system.iteration(Replay(name, iteration), iteration)
        update = next(turns)
        torch.testing.assert_close(update.on["fake"], r.io[f"it{iteration}/x_neg"], rtol=0, atol=1e-5)
        system.generator.energy.requires_grad_(True)
        terms = update.loss(**update.on)
        assert_energies(terms["energy"], r.io[f"it{iteration}/energy_pos"])
        within = 1e-5 * float(terms["energy"].abs().max()) + 1e-4
        assert float(terms["contrast"]) == pytest.approx(float(r.io[f"it{iteration}/cd_loss"]), abs=within)
        optimizer.zero_grad()
        (terms["contrast"] + terms["spectral"]).backward()
        for theirs, gradient in r.under("it0/ebm_grad_total").items() if iteration == 0 else ():
            assert_gradient(system.generator.energy.get_parameter(ours(theirs)).grad, gradient, rtol=1e-3)
        optimizer.step()
        assert next(turns, None) is None
    for theirs, value in r.under("ebm_after").items():
        torch.testing.assert_close(system.generator.energy.get_parameter(ours(theirs)), value, rtol=1e-4, atol=1e-6)


def vaebm(**arguments):
    return seeded({**SPEC, "decoder": finished(GAUSSIAN_VAE), **arguments})


def test_the_energy_is_started_from_the_training_set_once():
    data = catalog.build(DIGITS)
    system = VAEBMTraining(vaebm(), Langevin(1, 1e-2))
    before = system.generator.energy.state_dict()["stem.log_norm"].clone()
    system.setup(data)
    after = {k: v.clone() for k, v in system.generator.energy.state_dict().items()}
    assert not after["stem.log_norm"].equal(before)
    system.setup(data)
    assert all(v.equal(after[k]) for k, v in system.generator.energy.state_dict().items())


@pytest.mark.parametrize(("side", "expected"), [(28, 512), (64, 512), (256, 32), (4096, 1)])
def test_the_start_of_large_images_fits_into_memory(side: int, expected: int):
    """512 images of 256 x 256 are 9 GB for every layer of the published network."""
    seen = []

    class Items:
        def __len__(self):
            return 1000

        def rows(self, index):
            seen.append(len(index))
            return torch.zeros(len(index), 1, 1, 1)

    training = VAEBMTraining(vaebm(), Langevin(1, 1e-2))
    training.generator.energy.start = lambda x: None
    training.generator.sample_shape = (1, side, side)
    training.setup(Items())
    assert seen == [expected]


def test_a_decoder_that_is_not_finished_is_refused():
    with pytest.raises(RecipeError, match=r"^the decoder of a VAEBM is finished before .* \{weights: NAME\}"):
        VAEBMTraining(seeded(SPEC), Langevin(1, 1e-2))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"langevin": {**LANGEVIN, "steps": 0}}, r"^system\.langevin\.steps: .*greater than or equal to 1, got 0$"),
        ({"langevin": {**LANGEVIN, "step_size": 0}}, r"^system\.langevin\.step_size: "),
        ({"spectral": -1}, r"^system\.spectral: "),
        ({"chains": {"type": "persistent_chains", "share": 2}}, r"^system\.chains\.share: "),
        ({"chains": {"type": "persistent_chains", "size": 0}}, r"^system\.chains\.size: "),
        ({"guard": {"type": "runaway_guard", "contrast": 0}}, r"^system\.guard\.contrast: "),
        ({"guard": {"type": "runaway_guard"}}, r"^system\.guard: missing key 'contrast'"),
    ],
)
def test_wrong_settings_are_one_line(change, message):
    with pytest.raises(RecipeError, match=message):
        recipe(**change).check()


def recipe(steps: int = 12, **system) -> Recipe:
    generator = {**SPEC, "decoder": finished(GAUSSIAN_VAE)}
    return Recipe.from_dict(
        {
            "name": "tiny",
            "data": DIGITS,
            "system": {"type": "vaebm_training", "generator": generator, "langevin": LANGEVIN, **system},
            "optimizers": {"energy": {"type": "adam", "lr": 1e-2}},
            "train": {"steps": steps, "batch_size": 8, "trackers": []},
            "every": {"log": 1, "grid": 0, "checkpoint": 2, "keep": 3},
            "rollback": {"lr": 0.5, "at_most": 3},
        }
    )


def test_chains_at_a_lower_precision(tmp_path: Path):
    tree = recipe(2, langevin={**LANGEVIN, "metropolis": True}).to_dict()
    lower = Recipe.from_dict({**tree, "train": {**tree["train"], "precision": "bf16"}})
    rows = read_metrics(train(lower, tmp_path / "run") / "metrics.jsonl")
    assert len(rows) == 2 and all(row["energy/moved_latents"] > 0 for row in rows)


def test_what_is_logged(tmp_path: Path):
    rows = read_metrics(train(recipe(2, langevin={**LANGEVIN, "metropolis": True}), tmp_path / "run") / "metrics.jsonl")
    names = {name.partition("/")[2] for name in rows[0] if name.startswith("energy/")}
    moved = {"energy_drop", "moved_latents", "moved_noise", "accepted"}
    assert names == {"contrast", "spectral", "energy", "gradient_norm", *moved}


def test_an_energy_that_runs_away_from_the_first_iteration_on_is_not_handed_over(tmp_path: Path):
    run = tmp_path / "run"
    with pytest.raises(BadState, match=r"nothing was learned: the run went back 4 times.* the energy runs away"):
        train(recipe(guard={"type": "runaway_guard", "contrast": 1e-9, "memory": 4}), run)
    falls = falls_of(run / "checkpoints")
    assert len(falls) == 4, "one more than it goes on after"
    assert falls[0]["why"].startswith("the energy runs away: data less chains is ")
    assert not (run / "weights").exists()


def test_chains_that_leave_the_finite_numbers_are_gone_back_from(tmp_path: Path, monkeypatch):
    honest, calls = Langevin.refine, []

    def refine(self, energy, decoder, start, randomness):
        calls.append(1)
        wild = (lambda x: energy(x) * float("nan")) if len(calls) == 4 else energy
        return honest(self, wild, decoder, start, randomness)

    monkeypatch.setattr(Langevin, "refine", refine)
    run = train(recipe(6), tmp_path / "run")
    falls = falls_of(run / "checkpoints")
    assert [(fall["at"], fall["to"]) for fall in falls] == [(3, 2)]
    assert "ran away" in falls[0]["why"]
    monkeypatch.undo()
    assert VAEBM.from_pretrained(run).sample(3).isfinite().all()


def one_of_two(out: Path) -> None:
    """The chains of the second process alone run away, once."""
    import os

    honest, calls = Langevin.refine, []

    def refine(self, energy, decoder, start, randomness):
        calls.append(1)
        wild = len(calls) == 4 and os.environ["RANK"] == "1"
        return honest(self, (lambda x: energy(x) * float("nan")) if wild else energy, decoder, start, randomness)

    Langevin.refine = refine
    train(recipe(6), out)


def test_two_processes_go_back_when_the_chains_of_one_run_away(tmp_path: Path):
    assert on_processes(2, one_of_two, tmp_path, tmp_path / "run") == [0, 0]
    falls = falls_of(tmp_path / "run" / "checkpoints")
    assert [(fall["at"], fall["to"]) for fall in falls] == [(3, 2)]
    assert falls[0]["why"] == "another process has come to a bad state, which it tells of"


def test_the_guard_follows_the_running_mean():
    guard = RunawayGuard(contrast=10, memory=4)
    for contrast in (9.0, -9.0, 39.0, -30.0):
        guard.look(torch.tensor(contrast))
    with pytest.raises(BadState, match=r"data less chains is 1\d(\.\d+)? nats, and guard\.contrast is 10$"):
        for _ in range(20):
            guard.look(torch.tensor(12.0))
    with pytest.raises(BadState):
        RunawayGuard(contrast=10).look(torch.tensor(torch.nan))


# Persistent chains


def rows(n: int, seed: int = 0) -> Noise:
    return Noise(n, torch.Generator().manual_seed(seed))


def test_chains_that_do_not_fit_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("genkit.vae.energy.chains.usable_memory", lambda: 2**10)
    with pytest.raises(RecipeError, match=r"chains\.size: 10,000 chains of 3 numbers take .* GiB in each process"):
        store()


def store(**arguments) -> tuple[PersistentChains, object]:
    decoder, chains = noisy_decoder(seeded(GAUSSIAN_VAE)), PersistentChains(**arguments)
    chains.setup(decoder)
    return chains, decoder


def test_the_oldest_latents_are_overwritten():
    chains, _ = store(size=5)
    for value in (1.0, 2.0, 3.0):
        chains.keep((torch.full((2, 3), value),))
    assert sorted(chains.latents[:, 0].tolist()) == [1, 2, 2, 3, 3]
    chains.keep((torch.arange(21.0).view(7, 3),))
    assert sorted(chains.latents[:, 0].tolist()) == [6, 9, 12, 15, 18], "the newest of too many"


def test_a_share_of_chains_goes_on_with_pixel_noise_of_its_own():
    chains, decoder = store(share=0.6, size=50)
    first, noise = chains.start(decoder, rows(1000), 0)
    assert first[0].abs().max() < 10, "nothing is kept yet: all are fresh"
    chains.keep((torch.full((40, 3), 77.0),))
    latents, again = chains.start(decoder, rows(1000), 1)
    kept = (latents[0] == 77).all(1)
    assert kept.float().mean() == pytest.approx(0.6, abs=0.05)
    assert latents[0][~kept].equal(first[0][~kept]) and again.equal(noise)


def test_the_share_rises_to_its_value():
    chains, decoder = store(share=0.8, size=50, warmup=3)
    chains.keep((torch.full((50, 3), 77.0),))
    shares = [float((chains.start(decoder, rows(4000), k)[0][0] == 77).all(1).float().mean()) for k in (0, 1, 3, 9)]
    assert shares == pytest.approx([0.0, 0.8 / 3, 0.8, 0.8], abs=0.03), "max_p min(1, step / anneal_step), as theirs"


def test_latents_of_several_parts_are_kept_whole():
    spec = {**GAUSSIAN_VAE, "network": {"type": "hvae_network", "size": 8, "latent_dim": 3, "width": 8, "scaled": True}}
    decoder, chains = noisy_decoder(seeded(spec)), PersistentChains(share=1.0, size=4)
    chains.setup(decoder)
    chains.keep((torch.full((4, 3), 1.0), torch.full((4, 3), 2.0)))
    top, below = chains.start(decoder, rows(6), 1)[0]
    assert top.equal(torch.ones(6, 3)) and below.equal(torch.full((6, 3), 2.0))


def test_energy_of_another_shape_is_one_line():
    with pytest.raises(RecipeError, match=r"^energy: it is of \[3, 8, 8\], and the decoder makes \[1, 8, 8\]"):
        vaebm(energy={**ENERGY_N, "channels": 3})
