"""Optuna: which trials a dataset has, and what became of them, durable at each step."""
