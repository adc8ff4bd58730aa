-- What the lines of the log were read as; they add up to the number of lines
-- run: number of the run
-- class: ours, other, header, continuation, loss, blank or unparsed
-- lines: how many lines
-- share: of all lines of the run, in per cent
-- names: how many names of events these have
-- commonest: the name that came most often; null: the class has none
WITH numbered AS (
    SELECT *, row_number() OVER (PARTITION BY run, class ORDER BY lines DESC, name) AS nth
    FROM v_ledger
)
SELECT
    run,
    class,
    sum(numbered.lines) AS lines,
    round(100.0 * sum(numbered.lines) / max(v_run.lines, 1), 2) AS share,
    count(name) AS names,
    max(iif(nth = 1, name, NULL)) AS commonest
FROM numbered
JOIN v_run USING (run)
GROUP BY run, class
ORDER BY run, sum(numbered.lines) DESC, class
