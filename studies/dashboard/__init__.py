"""Studies in a browser while they run: ``dst dashboard``."""
