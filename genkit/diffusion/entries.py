"""Names of the diffusion family."""

from __future__ import annotations

from genkit.core.entry import Entries, Entry

ENTRIES: Entries = {
    "generators": {
        "ddpm": Entry(
            "genkit.diffusion.ddpm:DDPM",
            "Images from noise, one denoising step at a time.",
            ("ho2020ddpm", "nichol2021iddpm"),
        ),
        "upsampler": Entry(
            "genkit.diffusion.upsampler:Upsampler",
            "Large images from noise and a small image, the condition `low_res`.",
            ("dhariwal2021adm", "nichol2021iddpm"),
        ),
        "ddim_latents": Entry(
            "genkit.diffusion.noise_latents:NoiseLatents",
            "A diffusion model whose images are a function of the noise that deterministic steps start from.",
            ("song2021ddim",),
        ),
        "cascade": Entry(
            "genkit.diffusion.upsampler:Cascade",
            "Images of a generator, enlarged by an upsampler; conditions go to both.",
            ("dhariwal2021adm",),
        ),
        "classifier_guided": Entry(
            "genkit.diffusion.classifier_guidance:ClassifierGuided",
            "A diffusion model with each step pulled towards images that a classifier gives the wanted label.",
            ("dhariwal2021adm",),
        ),
        "classifier_free_guided": Entry(
            "genkit.diffusion.classifier_free_guidance:ClassifierFreeGuided",
            "A diffusion model guided away from the prediction without a label, towards the one with it.",
            ("ho2022cfg",),
        ),
    },
    "systems": {
        "ddpm_training": Entry(
            "genkit.diffusion.ddpm:DDPMTraining",
            "Training to predict the noise added to an image. DDPM Algorithm 1.",
            ("ho2020ddpm", "nichol2021iddpm", "ho2022cfg"),
        ),
        "noisy_classifier_training": Entry(
            "genkit.diffusion.noisy_classifier:NoisyClassifierTraining",
            "Cross-entropy on cropped and noised images, at steps drawn uniformly.",
            ("dhariwal2021adm",),
        ),
    },
    "networks": {
        "unet": Entry(
            "genkit.diffusion.networks.unet:UNet",
            "The UNet of Dhariwal and Nichol 2021, and with other arguments those of its predecessors.",
            ("dhariwal2021adm", "nichol2021iddpm", "ho2020ddpm"),
        ),
        "diffusers_unet": Entry(
            "genkit.diffusion.networks.diffusers_unet:DiffusersUNet",
            "A UNet2DModel with any settings; imported pipelines have one. To train from the start, take `unet`.",
            ("ho2020ddpm",),
        ),
        "super_resolution_unet": Entry(
            "genkit.diffusion.networks.unet:SuperResolutionUNet",
            "A UNet that also sees a small image: enlarged bilinearly and laid beside the noisy one.",
            ("dhariwal2021adm", "nichol2021iddpm"),
        ),
        "encoder_unet": Entry(
            "genkit.diffusion.networks.encoder_unet:EncoderUNet",
            "The encoder and the middle of a UNet, then a pool (Dhariwal and Nichol 2021, section 4).",
            ("dhariwal2021adm",),
        ),
    },
    "diffusion": {
        "noisy_classifier": Entry(
            "genkit.diffusion.noisy_classifier:NoisyClassifier",
            "log p(y | x_t, t) of the images of one process.",
            ("dhariwal2021adm",),
        ),
        "process": Entry(
            "genkit.diffusion.process:Process",
            "q(x_t | x_0) = N(sqrt(abar_t) x_0, (1 - abar_t) I), and the Gaussian step back.",
            ("ho2020ddpm", "nichol2021iddpm", "salimans2022distillation"),
        ),
        "ancestral": Entry(
            "genkit.diffusion.solvers:Ancestral",
            "x_{t-1} ~ N(mu + Sigma g, Sigma). DDPM Algorithm 2; guidance g: Dhariwal & Nichol 2021, Algorithm 1.",
            ("ho2020ddpm", "dhariwal2021adm"),
        ),
        "ddim": Entry(
            "genkit.diffusion.solvers:DDIM",
            "Song, Meng & Ermon 2021, Eq. 12; guidance: Dhariwal & Nichol 2021, Algorithm 2.",
            ("song2021ddim", "dhariwal2021adm"),
        ),
        "dpm_solver": Entry(
            "genkit.diffusion.multistep:DPMSolver", "DPM-Solver++ (multistep). Lu et al. 2022.", ("lu2022dpmsolver",)
        ),
        "unipc": Entry(
            "genkit.diffusion.multistep:UniPC", "UniPC (data prediction). Zhao et al. 2023.", ("zhao2023unipc",)
        ),
        "simple": Entry(
            "genkit.diffusion.losses:Simple",
            "L_simple, the squared error of the prediction. DDPM Eq. 14.",
            ("ho2020ddpm",),
        ),
        "hybrid": Entry(
            "genkit.diffusion.losses:Hybrid",
            "L_simple + w * bound, whose gradient reaches the variance alone. Nichol & Dhariwal 2021, Eq. 16.",
            ("nichol2021iddpm",),
        ),
        "bound": Entry(
            "genkit.diffusion.losses:BoundLoss",
            "The variational bound itself, T times the term of one step; best with importance-sampled steps.",
            ("ho2020ddpm",),
        ),
        "second_moment": Entry(
            "genkit.diffusion.step_choice:SecondMoment",
            "p_t ~ sqrt(E[L_t^2]), estimated from each step's last losses. Nichol & Dhariwal 2021, Eq. 18.",
            ("nichol2021iddpm",),
        ),
    },
    "layouts": {
        "diffusers/pipeline": Entry(
            "genkit.diffusion.authors.diffusers_import:pipeline",
            "A genkit DDPM; `config` is {pipeline, unet, scheduler} or {generator}, as `read_folder` gives it.",
        ),
        "guided-diffusion/unet": Entry(
            "genkit.diffusion.authors.guided_diffusion:unet",
            "guided-diffusion's UNetModel, called (x, timesteps, y).",
            ("dhariwal2021adm", "nichol2021iddpm", "ho2020ddpm"),
        ),
        "guided-diffusion/super_resolution_unet": Entry(
            "genkit.diffusion.authors.guided_diffusion:super_resolution_unet",
            "guided-diffusion's SuperResModel, called (x, timesteps, low_res=..., y=...).",
            ("dhariwal2021adm", "nichol2021iddpm"),
        ),
        "guided-diffusion/classifier": Entry(
            "genkit.diffusion.authors.guided_diffusion:classifier",
            "guided-diffusion's EncoderUNetModel, called (x, timesteps).",
            ("dhariwal2021adm",),
        ),
        "improved-diffusion/unet": Entry(
            "genkit.diffusion.authors.guided_diffusion:improved_unet",
            "improved-diffusion's UNetModel, called (x, timesteps, y).",
            ("nichol2021iddpm", "dhariwal2021adm", "ho2020ddpm"),
        ),
    },
}
