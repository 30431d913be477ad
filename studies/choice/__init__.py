"""Which configurations are confirmed and which one wins: pure functions of records."""
