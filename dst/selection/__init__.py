"""Selection: the way from scores of all columns, and the training rows, to the K columns that are taken."""
