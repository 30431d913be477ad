"""The plan of a run, in the driver: datasets, stages, turns, progress."""
