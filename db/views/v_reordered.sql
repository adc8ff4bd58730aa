-- Lines that were replayed elsewhere than they stand in the log; all others have seq = line.
-- run: number of the run
-- line: line of the log
-- seq: its place in replay order, on the scale of line numbers
SELECT run, line, seq
FROM reordered
