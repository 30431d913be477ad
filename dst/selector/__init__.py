"""Feature selection as a scikit-learn transformer."""
