"""The database: what a replay yields, written to SQLite and read back."""
