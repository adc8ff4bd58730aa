-- The mms that each swapoff met on its walk, in order.
-- run: number of the run
-- swapoff: id of the swapoff call
-- step: place on its walk, from 1
-- mm: address of the mm
-- generation: which life at that address, from 1
-- line: line that shows it
-- ts: time of that line, in the run's ts_unit
-- got: 1 it held the mm and walked it, 0 it skipped it
-- evidence: observed or inferred
SELECT run, swapoff, step, mm, generation, line, ts, got, evidence
FROM visit
