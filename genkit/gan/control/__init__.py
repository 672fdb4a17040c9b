"""GAN-Control (Shoshan et al. 2021): a StyleGAN2 in which slices of w stand for one attribute each."""
