"""Training and analysis of the built-in model, whose weights and world ship with the package."""
