"""Names of the VAE family."""

from __future__ import annotations

from genkit.core.entry import Entries, Entry

ENTRIES: Entries = {
    "generators": {
        "vae": Entry(
            "genkit.vae.vae:VAE",
            "x ~ p(x | z_1..z_L), z_l ~ p(z_l | z_1..z_(l-1)), z_1 ~ prior. Samples are the decoder's means.",
            ("kingma2014vae",),
        ),
        "vaebm": Entry(
            "genkit.vae.energy.vaebm:VAEBM",
            "A finished VAE times exp(-energy), sampled by short Langevin chains that start at the VAE's samples.",
            ("xiao2021vaebm",),
        ),
    },
    "systems": {
        "vae_training": Entry(
            "genkit.vae.vae_training:VAETraining",
            "Stochastic ascent of the evidence lower bound, the divergence weighted by beta.",
            ("kingma2014vae", "burda2016iwae"),
        ),
        "vaebm_training": Entry(
            "genkit.vae.energy.vaebm_training:VAEBMTraining",
            "The energy is lowered at images and raised at the ends of Langevin chains from the VAE's samples.",
            ("xiao2021vaebm",),
        ),
    },
    "networks": {
        "vae_network": Entry(
            "genkit.vae.networks.gated_vae:GatedVAENetwork",
            "x -> GD -> GD -> z -> GD -> GD -> x, GD a gated layer of `width`.",
            ("tomczak2018vamp", "norouzi2020exemplar"),
        ),
        "hvae_network": Entry(
            "genkit.vae.networks.gated_vae:GatedHVAENetwork",
            "Two levels: z2 above z1, both of which the decoder sees.",
            ("tomczak2018vamp", "norouzi2020exemplar"),
        ),
        "conv_hvae_network": Entry(
            "genkit.vae.networks.conv_hvae:ConvHVAENetwork",
            "The decoder spreads z1 and z2 over the image, then convolves.",
            ("tomczak2018vamp", "norouzi2020exemplar"),
        ),
        "pixelsnail_vae_network": Entry(
            "genkit.vae.networks.pixelsnail_vae:PixelSNAILVAENetwork",
            "The decoder sees z1 and z2, each spread over the image, and the pixels before the one that it describes.",
            ("chen2018pixelsnail", "norouzi2020exemplar"),
        ),
        "nvae": Entry(
            "genkit.vae.hierarchical.nvae:NVAENetwork",
            "Scales of groups of latent maps, a residual cell tower up and one down; posteriors are offsets to priors.",
            ("vahdat2020nvae",),
        ),
        "energy_network": Entry(
            "genkit.vae.energy.energy_network:EnergyNetwork",
            "Images -> energies, low where images are likely; the five residual networks of VAEBM.",
            ("xiao2021vaebm", "salimans2016weightnorm"),
        ),
    },
    "vae": {
        "bernoulli": Entry(
            "genkit.vae.pixel_likelihoods:Bernoulli",
            "Pixels are 0 or 1, drawn anew with the grey level as probability at every visit (dynamic binarisation).",
            ("salakhutdinov2008dbn",),
        ),
        "logistic_256": Entry(
            "genkit.vae.pixel_likelihoods:Logistic256",
            "256 grey levels, each the probability of its bin under a logistic distribution. Kingma et al. 2016.",
            ("kingma2016iaf",),
        ),
        "discretised_logistic": Entry(
            "genkit.vae.pixel_likelihoods:DiscretisedLogistic",
            "Levels, each the probability of its bin under a logistic distribution; the outermost bins have no end.",
            ("salimans2017pixelcnnpp",),
        ),
        "mixed_logistics": Entry(
            "genkit.vae.pixel_likelihoods:MixedLogistics",
            "Colours, each the probability of its bin under a mixture of logistics; green by red, blue by both.",
            ("salimans2017pixelcnnpp", "vahdat2020nvae"),
        ),
        "gaussian": Entry(
            "genkit.vae.pixel_likelihoods:GaussianPixels",
            "N(mean, width^2) for each pixel, as in VAEBM's NVAE: samples are a differentiable function of noise.",
            ("xiao2021vaebm", "theis2016note"),
        ),
        "persistent_chains": Entry(
            "genkit.vae.energy.chains:PersistentChains",
            "A store of latents, at which a share of the chains of training go on.",
            ("xiao2021vaebm",),
        ),
        "runaway_guard": Entry(
            "genkit.vae.energy.runaway:RunawayGuard",
            "Notices when the energies of data and of chains part, before it ruins the networks.",
            ("xiao2021vaebm",),
        ),
        "standard_prior": Entry("genkit.vae.latent_priors:StandardNormal", "N(0, I): a mixture of one.", ()),
        "vamp_prior": Entry(
            "genkit.vae.latent_priors:VampPrior",
            "The posteriors of learned pseudo-inputs. Tomczak & Welling 2018, Eq. 9.",
            ("tomczak2018vamp",),
        ),
        "exemplar_prior": Entry(
            "genkit.vae.latent_priors:ExemplarPrior",
            "Gaussians around the encoded exemplars, one learned variance for all. Norouzi et al. 2020, Eq. 5.",
            ("norouzi2020exemplar",),
        ),
        "exemplar_augment": Entry(
            "genkit.vae.augment:ExemplarAugment",
            "Variations by an exemplar VAE, which is not trained any further. Norouzi et al. 2020, Sec. 5.4.",
            ("norouzi2020exemplar",),
        ),
        "random_exemplars": Entry(
            "genkit.vae.exemplar_choice:RandomExemplars",
            "A new random subset in every iteration, all of it encoded with a graph: the objective of Eq. 7.",
            ("norouzi2020exemplar",),
        ),
        "retrieved_exemplars": Entry(
            "genkit.vae.exemplar_retrieval:RetrievedExemplars",
            "The nearest of many random candidates, encoded with a graph: the large terms of the sum.",
            ("norouzi2020exemplar",),
        ),
        "frozen_exemplars": Entry(
            "genkit.vae.exemplar_retrieval:FrozenExemplars",
            "All cached means, unchanged: another estimator, without the gradient through the exemplars' encodings.",
            ("norouzi2020exemplar",),
        ),
        "balanced_kl": Entry(
            "genkit.vae.balanced_kl:BalancedKL",
            "The divergences of all levels, in closed form; during warm-up large ones count more.",
            ("vahdat2020nvae",),
        ),
        "spectral_regularisation": Entry(
            "genkit.vae.spectral_regularisation:SpectralRegularisation",
            "Largest singular values of all convolutions plus the largest scale of each batch norm, times a weight.",
            ("vahdat2020nvae",),
        ),
        "langevin": Entry(
            "genkit.vae.energy.langevin:Langevin",
            "eps <- eps - step_size / 2 dU/d eps + sqrt(step_size) n, in latents and pixel noise at once.",
            ("xiao2021vaebm",),
        ),
    },
    "layouts": {
        "exemplar-vae/vae": Entry(
            "genkit.vae.authors.exemplar_vae:vae",
            "Their `vae`: gated multilayer perceptrons, one level.",
            ("norouzi2020exemplar", "kingma2014vae"),
        ),
        "exemplar-vae/hvae_2level": Entry(
            "genkit.vae.authors.exemplar_vae:hvae_2level",
            "Their `hvae_2level`: gated multilayer perceptrons, two levels.",
            ("norouzi2020exemplar",),
        ),
        "exemplar-vae/convhvae_2level": Entry(
            "genkit.vae.authors.exemplar_vae:convhvae_2level", "Their `convhvae_2level`.", ("norouzi2020exemplar",)
        ),
        "vaebm/nvae": Entry(
            "genkit.vae.authors.nvae:nvae",
            "Their `AutoEncoder` with a Gaussian for each pixel, the VAE that VAEBM sharpens.",
            ("xiao2021vaebm", "vahdat2020nvae"),
        ),
        "vaebm/energy": Entry(
            "genkit.vae.authors.vaebm:energy", "Their `EBM_*`, the energies of all five data sets.", ("xiao2021vaebm",)
        ),
    },
}
