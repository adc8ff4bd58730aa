-- Swap entries in page tables: which mm held which entry from when to when.
-- run: number of the run
-- entry: the swap entry
-- mm: address of the mm that holds it
-- generation: which life at that address, from 1
-- from_line: line from which it held the entry
-- from_why: unmap (paged out) or fork (copied from the parent)
-- to_line: line at which it held it no longer; null: until the log's end
-- to_why: zap, fault, unuse, undo, exit, swapoff, freed or unknown; null: until the log's end
-- from_ts: time of from_line, in the run's ts_unit
-- to_ts: time of to_line
-- evidence: observed or inferred
SELECT run, entry, mm, generation, from_line, from_why, to_line, to_why, from_ts, to_ts, evidence
FROM holding
