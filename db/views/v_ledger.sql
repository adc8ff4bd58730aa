-- What each line of the log was read as, counted; the lines of a run add up to v_run.lines.
-- class: ours, other (a record of another event), header, continuation (more of a record, a stack), loss, blank, unparsed
-- name: name of the event, <kind> for a record without one, ... for the rarer ones together; null: the class has no names
-- lines: how many lines, 0 where there is none
-- run: number of the run
-- file: path of the log as it was given
SELECT ledger.class, ledger.name, ledger.lines, ledger.run, run.log AS file
FROM ledger
JOIN run ON run.id = ledger.run
