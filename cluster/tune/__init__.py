"""Ray: one Tune run for all jobs of a study."""
