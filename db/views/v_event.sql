-- Events that changed a life, a membership or a swapoff (with --events all: every event).
-- run: number of the run
-- line: line of the log
-- ts: time of the line, in the run's ts_unit
-- cpu: CPU of the line
-- pid: task that ran there
-- comm: name of that task, for display only
-- name: name of the event
-- mm: mm it is about
-- generation: which life of that mm
-- entry: swap entry it is about
-- seq: place of the line in replay order
-- offset: byte offset of the line in the decompressed log
SELECT run, line, ts, cpu, pid, comm, name, mm, generation, entry, seq, "offset"
FROM event
