r"""The same by DuckDB, on all cores.

python with_duckdb.py LOG
"""

import sys

import duckdb

SQL = r"""
WITH fields AS (
    SELECT TRY_CAST(regexp_extract(line, '(\d+\.\d+):', 1) AS DOUBLE) AS ts,
           regexp_extract(line, '\d: +(?:\w+:)?(\w+):', 1) AS name,
           regexp_extract(line, '\bmm=(0x[0-9a-f]+)', 1) AS mm
    FROM read_csv(?, columns = {'line': 'VARCHAR'}, delim = chr(1), header = false, quote = '', escape = '',
                  auto_detect = false, strict_mode = false, ignore_errors = true)
), found AS (
    SELECT name, mm, count(*) AS n, min(ts) AS first, max(ts) AS last FROM fields WHERE name <> '' GROUP BY name, mm
)
SELECT count(*), sum(n) FROM found
"""


def main(path: str) -> None:
    """Count per event name and mm, with the first and the last time."""
    print(*duckdb.connect().execute(SQL, [path]).fetchone())


if __name__ == "__main__":
    main(sys.argv[1])
