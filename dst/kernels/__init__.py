"""Compiled kernels on sparse, feature-major data. They know arrays only."""
