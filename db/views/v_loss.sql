-- Losses: events that are missing from the log, as an interval on a CPU ("from" and "to" need the quotes).
-- cpu: CPU that lost events; null: any
-- from: time of the last event before the hole; null: none was seen
-- to: time of the first event after it; null: the log ends
-- count: how many are missing; null: the log does not say
-- kind: form of the marker: lost, dropped, perf_lost, overwritten, buffer_started, backwards, joined, truncated, doubted (a line not believed); of what no line marks: tail, uncounted, unended, untold, one_cpu, unfreed, unentered, unborn
-- line: line of the marker
-- run: number of the run
-- file: path of the log as it was given
SELECT
    loss.cpu,
    loss.since_ts AS "from",
    loss.until_ts AS "to",
    loss.count,
    loss.kind,
    loss.line,
    loss.run,
    run.log AS file
FROM loss
JOIN run ON run.id = loss.run
