"""The choice of configurations to confirm, and of the winner: pure functions of records."""
