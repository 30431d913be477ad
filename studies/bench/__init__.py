"""Measurements of whole studies: beside stock tools, and the cost of the machinery alone."""
