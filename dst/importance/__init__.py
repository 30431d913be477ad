"""Importance: measures of how much a trained network uses each input."""
