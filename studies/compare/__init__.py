"""Studies beside one another and beside the paper's tables."""
