"""Training a sparse network: settings, minibatches, steps, early stopping."""
