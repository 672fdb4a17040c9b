"""A network, a technique and a system of one's own, as a package that genkit finds when it is installed."""
