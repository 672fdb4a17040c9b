"""genkit beside other packages on Fashion-MNIST: quality for CPU-minutes, and the time of a training step."""
