"""How much a trained network uses each input."""
