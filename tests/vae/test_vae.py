from __future__ import annotations

import math

import pytest
import torch

from genkit.core.errors import DataError, GenkitError, RecipeError
from genkit.core.generator import Density, Generator
from genkit.core.randomness import Rows
from genkit.vae.bound import Bound, importance_weighted
from genkit.vae.latent_priors import ExemplarPrior, Mixture, StandardNormal, VampPrior
from genkit.vae.networks.gated_vae import GatedHVAENetwork, GatedVAENetwork
from genkit.vae.networks.pixelsnail_vae import PixelSNAILVAENetwork
from genkit.vae.networks.vae_network import finish
from genkit.vae.pixel_likelihoods import GaussianPixels, Logistic256
from genkit.vae.vae import VAE


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def vae(prior=None, levels: int = 1, latent_dim: int = 1) -> VAE:
    torch.manual_seed(0)
    network = (GatedVAENetwork, GatedHVAENetwork)[levels - 1](4, 1, latent_dim, 6)
    return VAE(network, prior=prior).eval()


def images(n: int) -> torch.Tensor:
    return torch.rand(n, 1, 4, 4, generator=rng(1)).round() * 2 - 1


def quadrature(model: VAE, x: torch.Tensor, span: float = 8.0, points: int = 400) -> torch.Tensor:
    """log p(x) by summing over a grid of latents, one axis a level."""
    axis = torch.linspace(-span, span, points)
    cell = (axis[1] - axis[0]).log()
    levels = torch.meshgrid(*[axis] * len(model.latent_dims), indexing="ij")
    z = [level.reshape(-1, 1) for level in levels]
    log_p = model.latent_prior.mixture(model.network).log_density(z[0])
    levels = model.network.levels()
    next(levels)
    if len(z) == 2:
        log_p = log_p + levels.send(z[0]).prior.log_density(z[1])
    pixels = model.network.decode(finish(levels, z[-1]))
    total = [
        model.likelihood.log_prob(v.expand(len(log_p), -1, -1, -1), pixels) + log_p
        for v in model.likelihood.values(x).split(1)
    ]
    return torch.stack(total).logsumexp(1) + cell * len(z)


@pytest.mark.parametrize("levels", [1, 2])
@pytest.mark.parametrize("prior", [StandardNormal, lambda: VampPrior(3), lambda: ExemplarPrior(4)])
def test_the_bound_of_many_samples_is_the_likelihood(prior, levels: int) -> None:
    model, x = vae(prior(), levels), images(4)
    with torch.no_grad():
        for parameter in model.network.parameters():
            parameter.mul_(0.5)  # nearer to its prior, so that a posterior that never learned is not far off
        if isinstance(model.latent_prior, ExemplarPrior):
            model.latent_prior.means.normal_(std=0.5, generator=rng())
            model.latent_prior.log_variance.fill_(-0.5)
        want = quadrature(model, x)
    many = model.log_likelihood(x, rng=rng(), samples=4000)
    torch.testing.assert_close(many.nats.float(), want, rtol=0, atol=0.05)
    one = model.log_likelihood(x, rng=rng(), samples=1)
    assert one.bound == "variational lower bound, 1 sample" and "4000 samples" in many.bound
    torch.testing.assert_close(one.parts["reconstruction"] - one.parts["kl"], one.nats)
    assert (many.parts["elbo"] < many.nats).all()
    torch.testing.assert_close(many.parts["elbo"], many.parts["reconstruction"] - many.parts["kl"])


def test_the_numbers_of_an_image_do_not_depend_on_its_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    model, x = vae(levels=2), torch.rand(5, 1, 4, 4, generator=rng(1)) * 2 - 1
    assert isinstance(model, Density)
    whole = model.log_likelihood(x, rng=rng(), samples=7).nats
    torch.testing.assert_close(model.log_likelihood(x[:2], rng=rng(), samples=7).nats, whole[:2])
    monkeypatch.setattr("genkit.vae.vae.ROWS", 4)
    torch.testing.assert_close(model.log_likelihood(x, rng=rng(), samples=7).nats, whole)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (torch.rand(2, 1, 4, 4) * 255, r"sample 0 holds .*; pixels are in \[-1, 1\] here"),
        (torch.full((2, 1, 4, 4), math.nan), "not finite"),
        (torch.zeros(2, 3, 4, 4), r"images are float \(B, 1, 4, 4\), got \(2, 3, 4, 4\)"),
        (torch.zeros(2, 1, 4, 4, dtype=torch.uint8), "torch.uint8"),
    ],
)
def test_images_of_another_range_or_shape_are_refused(x: torch.Tensor, message: str) -> None:
    for use in (vae().log_likelihood, vae().encode):
        with pytest.raises(DataError, match=message):
            use(x)


def test_a_likelihood_that_does_not_fit_the_network_is_refused() -> None:
    with pytest.raises(RecipeError, match="Logistic256 needs a network with scaled: true, got scaled: false"):
        VAE(GatedVAENetwork(4, 1, 2, 6), Logistic256())


def test_a_density_is_scored_on_dequantised_levels_and_says_so() -> None:
    torch.manual_seed(0)
    model, x = VAE(GatedVAENetwork(4, 1, 2, 6, scaled=True), GaussianPixels()).eval(), torch.zeros(2, 1, 4, 4)
    found = [model.log_likelihood(x, rng=rng(seed), samples=1) for seed in (0, 0, 1)]
    assert found[0].bound == "variational lower bound, 1 sample, levels dequantised"
    assert found[0].nats.equal(found[1].nats) and not found[0].nats.equal(found[2].nats)
    seen = model.observed(x, Rows(2, rng()))
    assert 0 < (seen - 0.5).abs().max() <= 0.5 / 255 and seen.unique().numel() == 32
    assert not model.binary, "grey images are not made black and white"


def test_no_exemplars_is_one_clear_line() -> None:
    model = vae(ExemplarPrior())
    for use in (lambda: model.sample(2), lambda: model.log_likelihood(images(2))):
        with pytest.raises(GenkitError, match=r"no exemplars.*generator\.exemplars\.replace\(images\)"):
            use()
    with pytest.raises(GenkitError, match="StandardNormal has no exemplars"):
        _ = vae().exemplars


def test_samples_come_from_the_mixture() -> None:
    mixture = Mixture(torch.tensor([[-5.0, 0.0], [5.0, 1.0]]), torch.tensor([0.5]))
    pick = torch.tensor([0, 1]).repeat(5000)
    z = mixture.at(pick, torch.randn(10000, 2, generator=rng()))
    torch.testing.assert_close(z[pick == 1].mean(0), mixture.means[1], rtol=0, atol=0.06)
    torch.testing.assert_close(z[pick == 0].var(0), torch.full((2,), math.exp(0.5)), rtol=0.06, atol=0)
    apart = Mixture(mixture.means, torch.tensor([[0.0, 1.0], [2.0, -3.0]]))
    z = apart.at(pick, torch.randn(10000, 2, generator=rng()))
    torch.testing.assert_close(z[pick == 1].var(0), apart.log_variance[1].exp(), rtol=0.06, atol=0)


def test_prior_and_forward_make_samples() -> None:
    for levels in (1, 2):
        model = vae(levels=levels, latent_dim=2)
        z = model.prior(6, rng())
        assert [part.shape for part in z] == [(6, 2)] * levels
        for part in z:
            part.requires_grad_()
        x = model(z)
        assert x.shape == (6, 1, 4, 4) and x.abs().max() <= 1
        assert all(gradient.abs().min() > 0 for gradient in torch.autograd.grad(x.sum(), z))


def test_a_latent_of_another_form_is_refused() -> None:
    model, z = vae(levels=2, latent_dim=2), torch.zeros(3, 4)
    with pytest.raises(DataError, match=r"z_1 and the noise of the lower parts, \(n, 2\), \(n, 2\); got \(3, 4\)"):
        model(z)
    one = z.split(2, 1)
    assert model(one).equal(model({"top": one[0], "below": [one[1]]})), "any tree of the right tensors will do"


def test_an_autoregressive_decoder_looks_back_only() -> None:
    torch.manual_seed(0)
    network = PixelSNAILVAENetwork(5, 1, 2, 8, maps=16, depth=2).eval()
    z, x = [torch.randn(1, 2), torch.randn(1, 2)], torch.rand(1, 1, 5, 5)
    with torch.no_grad():
        before = network.decode(z, x).mean.flatten()
        reached = torch.zeros(25, 25, dtype=torch.bool)
        for i in range(25):
            other = x.clone()
            other.view(-1)[i] += 1
            reached[i] = (network.decode(z, other).mean.flatten() - before).abs() > 1e-9
    assert not reached.tril().any(), "a pixel sees itself or one after it"
    assert reached.triu(1).sum() == 25 * 24 / 2, "attention reaches all that came before"


def test_autoregressive_samples_are_their_own_conditionals() -> None:
    """Draws of the first pixels decide the mean of the last."""
    torch.manual_seed(0)
    model = VAE(PixelSNAILVAENetwork(4, 1, 2, 8, maps=16, depth=1)).eval()
    z = model.prior(3, rng())
    top, noise, uniform = z
    assert (top.shape, noise.shape, uniform.shape) == ((3, 2), (3, 2), (3, 1, 4, 4))
    with torch.no_grad():
        x = model(z)
        drawn = torch.zeros_like(x)
        levels = model.network.levels()
        next(levels)
        latents = top, levels.send(top).prior.at(noise)
        for i in range(16):
            mean = model.network.decode(latents, drawn).mean.flatten(1)
            torch.testing.assert_close(model.likelihood.images(mean)[:, i], x.flatten(1)[:, i], rtol=0, atol=1e-5)
            drawn.flatten(1)[:, i] = (uniform.flatten(1)[:, i] < mean[:, i]).float()
            drawn = drawn.clone()


def test_replacing_and_extending_exemplars(tmp_path) -> None:
    from genkit.data.dataset import DataSet

    model, pixels = vae(ExemplarPrior()), torch.randint(0, 256, (7, 1, 4, 4), dtype=torch.uint8, generator=rng())
    data = DataSet("seven", pixels)
    model.exemplars.replace(data)
    assert len(model.exemplars) == 7
    assert model.exemplars.origin == [{"data": "seven", "fingerprint": data.fingerprint, "items": 7}]
    torch.testing.assert_close(model.exemplars.means, model.encode(data.rows(torch.arange(7))).detach())
    one = model.exemplars.means.clone()
    model.exemplars.extend(pixels[:2])
    assert len(model.exemplars) == 9 and [o["data"] for o in model.exemplars.origin] == ["seven", "images"]
    assert model.exemplars.origin[1]["fingerprint"] == DataSet("other", pixels[:2]).fingerprint
    torch.testing.assert_close(model.exemplars.means, torch.cat([one, one[:2]]))
    loaded = Generator.from_pretrained(model.save_pretrained(tmp_path))
    assert isinstance(loaded, VAE) and loaded.exemplars.origin == model.exemplars.origin
    assert loaded.sample(3, rng=rng()).equal(model.sample(3, rng=rng()))


def test_the_variance_starts_where_it_is_told_to() -> None:
    torch.manual_seed(0)
    drawn = torch.stack([ExemplarPrior().log_variance.detach() for _ in range(300)])
    assert abs(drawn.mean().item()) < 0.2 and abs(drawn.std().item() - 1) < 0.2
    assert ExemplarPrior(start=-2).log_variance.tolist() == [-2]


def test_exemplars_decide_what_is_generated() -> None:
    model = vae(ExemplarPrior(), latent_dim=2)
    model.latent_prior.log_variance.data.fill_(-30.0)
    one = images(1)
    model.exemplars.replace(one)
    want = model(model.encode(one)).detach()
    torch.testing.assert_close(model.sample(3), want.expand(3, -1, -1, -1), rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (torch.zeros(3, 3, 4, 4), r"exemplars are \[1, 4, 4\] here, got \[3, 4, 4\]"),
        (torch.zeros(0, 1, 4, 4), "at least one exemplar"),
        (torch.full((2, 1, 4, 4), 3.0), "sample 0 holds"),
        (torch.zeros(4, 4), "exemplars are"),
    ],
)
def test_other_exemplars_are_refused(bad: torch.Tensor, message: str) -> None:
    model = vae(ExemplarPrior())
    with pytest.raises(DataError, match=message):
        model.exemplars.replace(bad)


def test_weights_without_their_means_are_refused(tmp_path) -> None:
    from safetensors.torch import load_file, save_file

    from genkit.core.errors import WeightsError

    model = vae(ExemplarPrior())
    model.exemplars.replace(images(3))
    folder = model.save_pretrained(tmp_path)
    state = load_file(folder / "model.safetensors")
    del state["latent_prior.means"]
    save_file(state, folder / "model.safetensors")
    with pytest.raises(WeightsError, match=r"missing 'latent_prior.means'"):
        Generator.from_pretrained(folder)


def test_the_nearest_components_are_a_lower_bound_with_the_whole_sum_as_its_limit() -> None:
    model, x = vae(ExemplarPrior(40), latent_dim=2), images(3)
    with torch.no_grad():
        model.latent_prior.means.normal_(std=2, generator=rng(3))
        model.latent_prior.log_variance.fill_(-1.0)
    whole = model.log_likelihood(x, rng=rng(), samples=20)
    few, more, all_ = (model.log_likelihood(x, rng=rng(), samples=20, nearest=k) for k in (2, 10, 40))
    assert (few.nats < more.nats).all() and (more.nats < whole.nats).all()
    torch.testing.assert_close(all_.nats, whole.nats)
    assert few.bound.endswith("20 samples, 2 of 40 exemplars") and all_.bound == whole.bound
    top = model.latent_prior.mixture(model.network)
    z = torch.randn(5, 2, generator=rng())
    near = (z[0] - top.means).norm(dim=1).topk(2, largest=False).indices
    want = torch.logsumexp(
        torch.stack([Mixture(top.means[i : i + 1], top.log_variance).log_density(z) for i in near]), 0
    )
    torch.testing.assert_close(top.nearest(z[0], 2).log_density(z), want - math.log(40))


def test_the_spread_of_the_weights_is_told() -> None:
    model, x = vae(), images(2)
    found = model.log_likelihood(x, rng=rng(), samples=50)
    ess = found.spread["effective_sample_size"]
    assert ((ess > 1) & (ess < 50)).all()
    terms = Bound(torch.tensor([[0.0, 0.0, math.log(2)]]), torch.zeros(1, 3))
    told = importance_weighted(terms)
    assert told.spread["effective_sample_size"].item() == pytest.approx(16 / 6)
    assert told.nats.item() == pytest.approx(math.log(4 / 3))
