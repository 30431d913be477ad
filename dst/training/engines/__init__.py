"""Engines that take training steps: compiled kernels on sparse layers, or torch on masked dense ones."""
