"""Datasets that have a name: the registry, their files, and tables that need none."""
