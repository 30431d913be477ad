"""A study beside stock tools, and what its machinery costs."""
