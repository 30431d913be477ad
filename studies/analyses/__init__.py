"""Measurements that were made once, each a script: `python -m studies.analyses.NAME`. Nothing imports them."""
