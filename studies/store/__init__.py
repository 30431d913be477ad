"""A study's folder: its files, the records of its trials, its lock, and what it has spent."""
