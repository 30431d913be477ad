"""Who stops trials early, by name, and what they may compare."""
