"""Names of the layouts of GAN papers' checkpoints."""

from __future__ import annotations

from genkit.core.entry import Entry

LAYOUTS: dict[str, Entry] = {
    "stylegan2/rosinality": Entry(
        "genkit.gan.authors.stylegan2:rosinality",
        "Generator of rosinality/stylegan2-pytorch, --part g_ema: latents -> unbounded images.",
        ("karras2020stylegan2",),
    ),
    "stylegan2/rosinality_critic": Entry(
        "genkit.gan.authors.stylegan2:rosinality_critic",
        "Discriminator of rosinality/stylegan2-pytorch, --part d.",
        ("karras2020stylegan2",),
    ),
    "stylegan2/ada": Entry(
        "genkit.gan.authors.stylegan2:ada",
        "G_ema of NVlabs/stylegan2-ada-pytorch, its state dict: latents -> unbounded images.",
        ("karras2020ada", "karras2020stylegan2"),
    ),
    "stylegan2/ada_critic": Entry(
        "genkit.gan.authors.stylegan2:ada_critic",
        "D of NVlabs/stylegan2-ada-pytorch, its state dict.",
        ("karras2020ada", "karras2020stylegan2"),
    ),
    "gan_control/generator": Entry(
        "genkit.gan.authors.gan_control:generator",
        "Generator of amazon-science/gan-control, --part g_ema: latents with slices by name -> unbounded images.",
        ("shoshan2021gancontrol", "karras2020stylegan2"),
    ),
    "ppogan/generator": Entry(
        "genkit.gan.authors.ppogan:generator",
        "Their netG: latents (B, nz) -> images (B, 3, 32, 32) in [-1, 1].",
        ("wu2020ratioclipping",),
    ),
    "ppogan/critic": Entry("genkit.gan.authors.ppogan:critic", "Their netD.", ("wu2020ratioclipping",)),
    "ppogan/classifier": Entry(
        "genkit.gan.authors.ppogan:classifier",
        "Their D, the auxiliary classifier of the probability ratio.",
        ("wu2020ratioclipping",),
    ),
    "robust-ot/dcgan_generator": Entry(
        "genkit.gan.authors.robust_ot:dcgan_generator",
        "Their DCGAN netG: latents (B, nz) -> images (B, 3, 32, 32) in [-1, 1].",
        ("balaji2020robust", "radford2016dcgan"),
    ),
    "robust-ot/dcgan_critic": Entry(
        "genkit.gan.authors.robust_ot:dcgan_critic", "Their DCGAN netD.", ("balaji2020robust", "radford2016dcgan")
    ),
    "robust-ot/dcgan_weights": Entry(
        "genkit.gan.authors.robust_ot:dcgan_weights",
        "Their netW beside DCGAN and SNDCGAN critics, which ends in ReLU.",
        ("balaji2020robust",),
    ),
    "robust-ot/sndcgan_critic": Entry(
        "genkit.gan.authors.robust_ot:sndcgan_critic",
        "Their SNDCGAN netD, of hinge and non-saturating runs.",
        ("balaji2020robust", "miyato2018spectral"),
    ),
    "robust-ot/resnet_generator": Entry(
        "genkit.gan.authors.robust_ot:resnet_generator",
        "Their ResNet netG; transposed or plain convolutions, as the checkpoint has them.",
        ("balaji2020robust", "he2016resnet", "gulrajani2017wgangp", "wu2020ratioclipping"),
    ),
    "robust-ot/resnet_critic": Entry(
        "genkit.gan.authors.robust_ot:resnet_critic",
        "Their ResNet netD.",
        ("balaji2020robust", "he2016resnet", "gulrajani2017wgangp", "wu2020ratioclipping"),
    ),
    "robust-ot/resnet_weights": Entry(
        "genkit.gan.authors.robust_ot:resnet_weights",
        "Their netW beside ResNet critics: no ReLU at the end, so that weights may be negative.",
        ("balaji2020robust",),
    ),
    "transgan/v1_generator": Entry(
        "genkit.gan.authors.transgan:v1_generator",
        "TransGAN_8_8_1, TransGAN_8_8_G2_1 or Celeba64_TransGAN: latents (B, latent_dim) -> unbounded images.",
        ("jiang2021transgan",),
    ),
    "transgan/v1_critic": Entry("genkit.gan.authors.transgan:v1_critic", "ViT_8_8.", ("jiang2021transgan",)),
    "transgan/neurips_generator": Entry(
        "genkit.gan.authors.transgan:neurips_generator",
        "ViT_custom_rp, the generator of ViT_custom_scale2_rp_noise, or that of ViT_custom_local544444_256_rp.",
        ("jiang2021transgan",),
    ),
    "transgan/neurips_critic": Entry(
        "genkit.gan.authors.transgan:neurips_critic",
        "The discriminator of ViT_custom_scale2_rp_noise.",
        ("jiang2021transgan",),
    ),
}
