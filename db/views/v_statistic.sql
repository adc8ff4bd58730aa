-- Numbers about each run.
-- run: number of the run
-- name: name of the number
-- value: the number
-- text: its unit or meaning
SELECT run, name, value, text
FROM statistic
