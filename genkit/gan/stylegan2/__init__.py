"""StyleGAN2 (Karras et al. 2020, arXiv:1912.04958): its pair of networks, path length, and adaptive augmentation."""
