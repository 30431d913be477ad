"""The way that the documentation of Ray and Optuna shows, to compare with."""
