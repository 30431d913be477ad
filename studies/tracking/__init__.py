"""What W&B gets of a study, and how it is sent."""
