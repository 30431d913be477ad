"""Moving connections: which are dropped, which grow, how many, when."""
