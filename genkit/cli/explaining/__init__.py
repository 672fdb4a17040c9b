"""Behind `genkit explain` and `genkit explain train`: the page of many images, one image, the run that goes on."""
