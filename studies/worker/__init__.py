"""What a job of a study does in a worker."""
