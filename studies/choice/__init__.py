"""The choice of configurations to confirm, and of the winner: pure functions of records.

It stands above the store, whose records it reads; nothing in the store chooses.
"""
