"""The same by polars, on all cores.

python with_polars.py LOG
"""

import sys

import polars as pl


def main(path: str) -> None:
    """Count per event name and mm, with the first and the last time."""
    line = pl.col("line")
    lines = pl.scan_csv(
        path, has_header=False, separator="\x01", quote_char=None, encoding="utf8-lossy", schema={"line": pl.String}
    )
    found = (
        lines.select(
            line.str.extract(r"(\d+\.\d+):", 1).cast(pl.Float64).alias("ts"),
            line.str.extract(r"\d: +(?:\w+:)?(\w+):", 1).alias("name"),
            line.str.extract(r"\bmm=(0x[0-9a-f]+)", 1).alias("mm"),
        )
        .drop_nulls("name")
        .group_by("name", "mm")
        .agg(pl.len(), pl.col("ts").min().alias("first"), pl.col("ts").max().alias("last"))
        .collect(engine="streaming")
    )
    print(len(found), found["len"].sum())


if __name__ == "__main__":
    main(sys.argv[1])
