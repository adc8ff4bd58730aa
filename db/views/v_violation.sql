-- Violations: which invariant was broken, where, by which mm, and how sure that is.
-- id: number of the violation in its run, in order of discovery
-- run: number of the run
-- code: code of the invariant (M1)
-- slug: name of the invariant, the fault it reports (unlisted-swap-holder)
-- severity: E an error of the traced kernel, W suspicious
-- certainty: proven, likely or undecided
-- file: path of the log as it was given
-- line: line of the log at which it was seen
-- last_line: line at which it was seen last
-- count: how often it was seen
-- ts: time of that line, in the run's ts_unit; null: the log has none
-- cpu: CPU of that line
-- pid: task that ran there (the kernel's task id)
-- comm: name of that task, for display only
-- mm: address of the mm it is about; null: about no mm
-- generation: which life at that address, from 1
-- entry: swap entry it is about; null: about none
-- follows_from: id of the violation that caused this one; null: a root
-- signature: what stays the same when the same bug shows in another log
-- message: the violation in one sentence
-- reason: why this certainty, in words
-- type: swap area it is about, by index; null: about none
SELECT
    violation.id,
    violation.run,
    violation.code,
    violation.slug,
    violation.severity,
    violation.certainty,
    run.log AS file,
    violation.line,
    violation.last_line,
    violation.count,
    violation.ts,
    violation.cpu,
    violation.pid,
    violation.comm,
    violation.mm,
    violation.generation,
    violation.entry,
    violation.follows_from,
    violation.signature,
    violation.message,
    violation.reason,
    violation.type
FROM violation
JOIN run ON run.id = violation.run
