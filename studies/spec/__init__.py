"""The spec of a study, its parts, and the documents that they are read from."""
