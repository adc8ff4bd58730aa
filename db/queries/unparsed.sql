-- Why lines could not be read, how many there are of each reason, and the first
-- run: number of the run
-- severity: info, data_loss or error
-- reason: why
-- lines: how many lines
-- first_line: line of the first
-- column: column at which reading the first stopped
-- text: the first, readable
WITH numbered AS (
    SELECT *, row_number() OVER (PARTITION BY run, reason, severity ORDER BY line) AS nth
    FROM v_unparsed
)
SELECT
    run,
    severity,
    reason,
    count(*) AS lines,
    min(line) AS first_line,
    max(iif(nth = 1, "column", NULL)) AS "column",
    max(iif(nth = 1, text, NULL)) AS text
FROM numbered
GROUP BY run, reason, severity
ORDER BY run, count(*) DESC, min(line)
