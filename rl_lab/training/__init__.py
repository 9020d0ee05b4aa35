"""Training: one recipe, one seed, one folder."""
