"""StylEx (Lang et al. 2021): a StyleGAN2 trained to explain a classifier by what would change its mind."""
