"""Weights & Biases: the runs of a study, and sending them."""
