"""Files that somebody else may have written, and numbers as files hold them."""
