-- The evidence of each violation: the lines that together contradict, step by step.
-- run: number of the run
-- violation: id of the violation
-- step: place of the line in the evidence, from 1
-- file: path of the log as it was given
-- line: line of the log
-- ts: time of the line, in the run's ts_unit
-- cpu: CPU of the line
-- pid: task that ran there
-- comm: name of that task, for display only
-- role: what the line shows (joined here)
-- site: kernel function in which that happened
-- state: state before the line, in words
-- should: what the kernel should have done there, if this is the step that went wrong
-- place: where its probe is <- from where that was called, if the log has addresses and the kernel's symbols were given
-- text: the original line, readable: what is not UTF-8 is shown as U+FFFD
-- raw: the original line, untouched bytes
-- seq: place of the line in replay order
-- offset: byte offset of the line in the decompressed log
SELECT
    witness.run,
    witness.violation,
    witness.step,
    run.log AS file,
    witness.line,
    witness.ts,
    witness.cpu,
    witness.pid,
    witness.comm,
    witness.role,
    witness.site,
    witness.state,
    witness.should,
    witness.place,
    coalesce(witness.readable, CAST(witness.raw AS TEXT)) AS text,
    witness.raw,
    witness.seq,
    witness.offset
FROM witness
JOIN run ON run.id = witness.run
