"""Better samples by the log ratio of the densities of data and generator: rejection, chains, flows in latent space."""
