-- Calls of swapoff: how each walked mmlist, how it ended, and whether it drained the list.
-- run: number of the run
-- id: number of the call in its run
-- begin_line: line at which it began
-- begin_ts: time at which it began, in the run's ts_unit
-- end_line: line at which it returned; null: not seen to return
-- end_ts: time at which it returned
-- ret: its return value, 0 for success; null: unknown
-- path: device or file
-- type: index of the swap area
-- pid: task that called it
-- comm: name of that task, for display only
-- passes: walks over mmlist
-- visits: mms it met on these walks
-- held: how many of these it held and walked; the others it skipped
-- members_before: members of mmlist when it began; null: unknown
-- members_after: members when it returned; null: unknown
-- drained: 1 it drained mmlist, 0 it did not, null unknown
-- drain_line: line of the drain
-- file: path of the log as it was given
SELECT
    swapoff.run,
    swapoff.id,
    swapoff.begin_line,
    swapoff.begin_ts,
    swapoff.end_line,
    swapoff.end_ts,
    swapoff.ret,
    swapoff.path,
    swapoff.type,
    swapoff.pid,
    swapoff.comm,
    swapoff.passes,
    (SELECT count(*) FROM visit WHERE visit.run = swapoff.run AND visit.swapoff = swapoff.id) AS visits,
    (SELECT count(*) FROM visit WHERE visit.run = swapoff.run AND visit.swapoff = swapoff.id AND visit.got = 1)
        AS held,
    swapoff.members_before,
    swapoff.members_after,
    swapoff.drained,
    swapoff.drain_line,
    run.log AS file
FROM swapoff
JOIN run ON run.id = swapoff.run
