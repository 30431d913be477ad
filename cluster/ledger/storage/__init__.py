"""The database of trial states: how it is opened, and how long one that went away is waited for."""
