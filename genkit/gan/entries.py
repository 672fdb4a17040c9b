"""Names of the GAN family: the game, its networks and techniques."""

from __future__ import annotations

from genkit.core.entry import Entries, Entry
from genkit.gan.layouts import LAYOUTS
from genkit.gan.styleex.entries import TECHNIQUES

ENTRIES: Entries = {
    "generators": {
        "gan": Entry("genkit.gan.gan:GAN", "x = network(z), z ~ N(0, I).", ("goodfellow2014gan",)),
        "truncated": Entry(
            "genkit.gan.stylegan2.truncated:Truncated",
            "A GAN with styles whose w is drawn towards the mean of w: less variety, better images.",
            ("karras2019stylegan",),
        ),
        "controlled": Entry(
            "genkit.gan.control.controlled:Controlled",
            "A finished GAN and an encoder for each attribute, whose values are its conditions (GAN-Control).",
            ("shoshan2021gancontrol",),
        ),
        "styleex": Entry(
            "genkit.gan.styleex.styleex:StyleEx",
            "A StyleGAN2 whose w an encoder finds for an image, and whose styles know what a classifier says of it.",
            ("lang2021stylex", "guo2017calibration"),
        ),
    },
    "systems": {
        "gan_training": Entry(
            "genkit.gan.gan:GANTraining",
            "The two-player game, Algorithm 1 of Arjovsky et al. 2017, with a slot for every further technique.",
            ("goodfellow2014gan", "arjovsky2017wgan"),
        ),
        "control_training": Entry(
            "genkit.gan.control.control_training:ControlTraining",
            "For each attribute an encoder learns w from y, over pairs of w and what its image shows (GAN-Control).",
            ("shoshan2021gancontrol",),
        ),
        "styleex_training": Entry(
            "genkit.gan.styleex.styleex_training:StyleExTraining",
            "A GAN and an encoder, to explain a classifier: reconstructions it agrees with, and samples (StylEx).",
            ("lang2021stylex",),
        ),
    },
    "networks": {
        "mlp_generator": Entry(
            "genkit.gan.networks.mlp:MLPGenerator", "z -> points, unbounded.", ("gulrajani2017wgangp",)
        ),
        "mlp_critic": Entry(
            "genkit.gan.networks.mlp:MLPCritic",
            "Points -> scores; initialised as MLPGenerator, the head by Xavier.",
            ("gulrajani2017wgangp",),
        ),
        "dcgan_generator": Entry(
            "genkit.gan.networks.dcgan:DCGANGenerator",
            "z -> images in [-1, 1]: a linear layer, then strided transposed convolutions with ReLU, tanh at the end.",
            ("radford2016dcgan",),
        ),
        "dcgan_critic": Entry(
            "genkit.gan.networks.dcgan:DCGANCritic",
            "Images -> scores: strided convolutions with leaky ReLU (0.2), flattened, one linear layer.",
            ("radford2016dcgan",),
        ),
        "resnet_generator": Entry(
            "genkit.gan.networks.resnet_gan:ResNetGenerator",
            "z -> images in [-1, 1]: a linear layer, up-blocks of one width, norm, ReLU, 3x3, tanh.",
            ("he2016resnet", "gulrajani2017wgangp", "wu2020ratioclipping"),
        ),
        "resnet_critic": Entry(
            "genkit.gan.networks.resnet_gan:ResNetCritic",
            "Images -> scores: down-blocks to a map of at most 8 pixels, two plain blocks, ReLU, average pool, linear.",
            ("he2016resnet", "gulrajani2017wgangp", "wu2020ratioclipping"),
        ),
        "transgan_generator": Entry(
            "genkit.gan.networks.transgan_generator:TransGANGenerator",
            "z -> images: stages of transformer blocks at doubling sides, a 1x1 convolution at the end and no tanh.",
            ("jiang2021transgan",),
        ),
        "transgan_critic": Entry(
            "genkit.gan.networks.transgan_critic:TransGANCritic",
            "Images -> scores: a vision transformer over patches, whose class token is the features.",
            ("jiang2021transgan", "dosovitskiy2021vit"),
        ),
        "two_scale_transgan_critic": Entry(
            "genkit.gan.networks.transgan_critic:TwoScaleTransGANCritic",
            "Images -> scores by the critic of the paper's second version, which sees patches of two sizes.",
            ("jiang2021transgan",),
        ),
        "stylegan2_generator": Entry(
            "genkit.gan.stylegan2.generator:StyleGAN2Generator",
            "z -> w -> images: a mapping network, and a synthesis network with skip connections.",
            ("karras2020stylegan2", "karras2019stylegan"),
        ),
        "stylegan2_critic": Entry(
            "genkit.gan.stylegan2.critic:StyleGAN2Critic",
            "Images -> scores: residual blocks that halve the map, minibatch deviation at 4 pixels, two dense layers.",
            ("karras2020stylegan2", "karras2018progressive", "karras2020ada"),
        ),
        "stylegan2_encoder": Entry(
            "genkit.gan.stylegan2.encoder:StyleGAN2Encoder",
            "Images -> w: the body of a stylegan2_critic without minibatch deviation, and a dense layer.",
            ("lang2021stylex",),
        ),
        "control_encoder": Entry(
            "genkit.gan.control.encoder:ControlEncoder",
            "What an attribute shall be -> a slice of w: layers that all end in leaky ReLU, as w itself does.",
            ("shoshan2021gancontrol",),
        ),
        "robust_dcgan_generator": Entry(
            "genkit.gan.networks.robust_dcgan:RobustDCGANGenerator",
            "z -> (channels, 32, 32): 4x4 transposed convolutions with batch norm, a 3x3 one, tanh.",
            ("balaji2020robust",),
        ),
        "robust_dcgan_critic": Entry(
            "genkit.gan.networks.robust_dcgan:RobustDCGANCritic",
            "(channels, 32, 32) -> scores: a 3x3 convolution, 4x4 ones of stride 2, leaky ReLU, linear.",
            ("balaji2020robust",),
        ),
        "sndcgan_critic": Entry(
            "genkit.gan.networks.robust_dcgan:SNDCGANCritic",
            "(channels, 32, 32) -> scores: seven spectrally normalised convolutions, leaky ReLU (0.2), linear.",
            ("miyato2018spectral", "balaji2020robust"),
        ),
        "weight_network": Entry(
            "genkit.gan.networks.robust_dcgan:WeightNetwork",
            "(channels, size, size) -> a number each: three times 3x3, ReLU, 2x2 max-pool; then linear.",
            ("balaji2020robust",),
        ),
        "robust_resnet_generator": Entry(
            "genkit.gan.networks.robust_resnet:RobustResNetGenerator",
            "z -> (channels, 32, 32) in [-1, 1]: a linear layer, three blocks, norm, ReLU, 3x3, tanh.",
            ("balaji2020robust",),
        ),
        "robust_resnet_critic": Entry(
            "genkit.gan.networks.robust_resnet:RobustResNetCritic",
            "(channels, 32, 32) -> scores: a ResNetCritic that sums, and whose later blocks see ReLU(x).",
            ("balaji2020robust",),
        ),
    },
    "techniques": {
        **TECHNIQUES,
        "wasserstein": Entry(
            "genkit.gan.objectives:Wasserstein",
            "E_fake f - E_real f. Arjovsky et al. 2017, Eq. (2).",
            ("arjovsky2017wgan",),
        ),
        "hinge": Entry(
            "genkit.gan.objectives:Hinge",
            "Margins at +1 and -1. Lim & Ye 2017; Miyato et al. 2018, Eq. (16)-(17).",
            ("lim2017hinge", "miyato2018spectral"),
        ),
        "non_saturating": Entry(
            "genkit.gan.objectives:NonSaturating",
            "Cross-entropy with scores as log-odds of real; the generator climbs log D. Goodfellow et al. 2014.",
            ("goodfellow2014gan",),
        ),
        "gradient_penalty": Entry(
            "genkit.gan.gradient_penalty:GradientPenalty",
            "weight * E (|grad f(x_hat)| - 1)^2, x_hat = u x + (1 - u) G(z). Gulrajani et al. 2017, Eq. (3).",
            ("gulrajani2017wgangp",),
        ),
        "r1": Entry(
            "genkit.gan.gradient_penalty:R1",
            "weight / 2 * E_real |grad f(x)|^2. Mescheder et al. 2018, Eq. (9).",
            ("mescheder2018r1",),
        ),
        "path_length": Entry(
            "genkit.gan.stylegan2.path_length:PathLength",
            "weight * E (|J^T y| - a)^2, a the moving mean of |J^T y|.",
            ("karras2020stylegan2",),
        ),
        "own_step": Entry(
            "genkit.gan.own_step:OwnStep",
            "`term`, N times as large, in a step of its own after steps 0, N, 2N, ... of its player.",
            ("karras2020stylegan2",),
        ),
        "consistency": Entry(
            "genkit.gan.consistency:Consistency",
            "Wei et al. 2018, Eq. (4)-(5), as the ratio-clipping authors run it.",
            ("wei2018ctgan",),
        ),
        "softmax_weighting": Entry(
            "genkit.gan.softmax_weighting:SoftmaxWeighting",
            "Softmax of the critic's scores, from the very pass that is differentiated.",
            ("wu2020ratioclipping",),
        ),
        "score_drift": Entry(
            "genkit.gan.score_drift:ScoreDrift",
            "weight * (E_real f)^2, as TransGAN's code has it; Karras et al. 2018, sec. A.1, squares inside.",
            ("karras2018progressive",),
        ),
        "diff_augment": Entry(
            "genkit.gan.diff_augment:DiffAugment",
            "Random shifts, colours and cutouts (Zhao et al. 2020), with the strengths of TransGAN's first version.",
            ("zhao2020diffaugment", "jiang2021transgan"),
        ),
        "adaptive_augment": Entry(
            "genkit.gan.stylegan2.adaptive_augment:AdaptiveAugment",
            "Random changes of the critic's input, with a probability that follows the critic (ADA).",
            ("karras2020ada",),
        ),
        "super_resolution": Entry(
            "genkit.gan.super_resolution:SuperResolution",
            "weight * |G(low(x)) - x|^2 per pixel, low(x) the real image averaged down. Jiang et al. 2021.",
            ("jiang2021transgan",),
        ),
        "locality_mask": Entry(
            "genkit.gan.locality_mask:LocalityMask",
            "Widens the band |i - j| <= w of the generator's last attention, then lifts it. Jiang et al. 2021.",
            ("jiang2021transgan",),
        ),
        "robust_weights": Entry(
            "genkit.gan.robust_weights:RobustWeights",
            "A weight network W against the critic. Balaji et al. 2020, Sec. 4.",
            ("balaji2020robust",),
        ),
        "official_robust_weights": Entry(
            "genkit.gan.robust_weights:OfficialRobustWeights",
            "The authors' form, for parity: ReLU at the end of W, and the weight inside the critic's non-linearity.",
            ("balaji2020robust",),
        ),
        "closed_form_weights": Entry(
            "genkit.gan.robust_weights:ClosedFormWeights",
            "The best weights of each batch, from the critic's scores: no network, nothing to tune.",
            ("balaji2020robust",),
        ),
        "sup_norm_penalty": Entry(
            "genkit.gan.sup_norm:SupNormPenalty",
            "2 share max |f|, the maximum over the real and fake samples of the batch.",
            ("nietert2022robust",),
        ),
        "reused_ascent": Entry(
            "genkit.gan.reused_ascent:ReusedAscent",
            "Ascent of the reward of the last critic step's fakes, as in code that keeps their graph.",
            ("balaji2020robust",),
        ),
        "anneal": Entry(
            "genkit.gan.anneal:Anneal",
            "Moves a number of a technique in a straight line, e.g. the temperature of a weighting.",
            (),
        ),
        "ascent": Entry(
            "genkit.gan.slots:Ascent", "The plain rule: up the reward of fresh samples, `steps` times.", ()
        ),
        "paired_ascent": Entry(
            "genkit.gan.control.paired_ascent:PairedAscent",
            "Up the reward of samples in pairs that share one slice of the latent (GAN-Control).",
            ("shoshan2021gancontrol",),
        ),
        "contrastive": Entry(
            "genkit.gan.control.contrastive:Contrastive",
            "A slice of the latent stands for an attribute: images that share it are alike in it, others are not.",
            ("shoshan2021gancontrol",),
        ),
        "class_balance": Entry(
            "genkit.gan.control.class_balance:ClassBalance",
            "Keeps the generator from leaving out classes that a network tells.",
            ("krause2010rim",),
        ),
        "predicted_attribute": Entry(
            "genkit.gan.control.measures:PredictedAttribute",
            "One attribute of a finished predictor: probabilities of a class, a standardised number, or a unit vector.",
        ),
        "predicted_class": Entry(
            "genkit.gan.control.measures:PredictedClass", "The class that a finished classifier sees."
        ),
        "mean_colour": Entry("genkit.gan.control.measures:MeanColour", "The mean of each channel, in [0, 1]."),
        "gram_matrices": Entry(
            "genkit.gan.control.measures:GramMatrices",
            "Which features of a finished network occur together, wherever: texture.",
            ("gatys2016style",),
        ),
        "ratio_clipping": Entry(
            "genkit.gan.ratio_clipping:RatioClipping",
            "Clipped steps of the generator, a classifier's step before each (Wu et al. 2020).",
            ("wu2020ratioclipping",),
        ),
        "official_ratio_clipping": Entry(
            "genkit.gan.ratio_clipping:OfficialRatioClipping",
            "The authors' form, for parity.",
            ("wu2020ratioclipping",),
        ),
    },
    "layouts": LAYOUTS,
}
