"""A trial as one would write it without this package: masked torch networks. The peer of ``dst bench study``.

Nothing here imports Numba, so that a process that runs such trials starts as fast as it would without this package.
"""
