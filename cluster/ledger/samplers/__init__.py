"""Who proposes parameters, by name."""
