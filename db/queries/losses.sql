-- Losses, as intervals on a CPU
-- run: number of the run
-- line: line of the marker
-- cpu: CPU that lost events; null: any
-- from_ts: time of the last event before the hole
-- to_ts: time of the first event after it
-- count: how many are missing; null: the log does not say
-- kind: form of the marker
SELECT run, line, cpu, "from" AS from_ts, "to" AS to_ts, count, kind
FROM v_loss
ORDER BY run, line
