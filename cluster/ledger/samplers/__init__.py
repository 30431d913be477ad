"""Samplers, which propose parameters: a registry by name, and an NSGA-II for batches."""
