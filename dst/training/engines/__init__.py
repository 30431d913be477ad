"""What takes training steps: compiled kernels on sparse layers, or torch on masked dense ones."""
