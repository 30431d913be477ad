"""The jobs of a study in a worker process."""
