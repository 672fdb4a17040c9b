"""The page of `genkit ui`: weights, runs and pages below one folder, shown in a browser of this machine."""
