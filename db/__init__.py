"""The database: what a replay yields, written to SQLite and read back."""

from mmlist.replay import built

__path__[:0] = built.folders("db")
