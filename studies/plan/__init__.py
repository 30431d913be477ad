"""What runs next, in the driver: datasets, stages, turns, progress."""
