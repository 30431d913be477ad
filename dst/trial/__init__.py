"""One trial, from a table to scores of its top K columns."""
