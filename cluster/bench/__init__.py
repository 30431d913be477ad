"""The same jobs run the way that the documentation of Ray and Optuna shows, to compare with."""
