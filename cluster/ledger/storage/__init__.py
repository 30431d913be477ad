"""The durable storage of trial states: SQLite, or a database server that may go away for a while."""
