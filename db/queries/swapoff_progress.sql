-- Every swapoff: passes, members before and after, visits, outcome
-- run: number of the run
-- id: number of the call in its run
-- begin_line: line at which it began
-- end_line: line at which it returned; null: not seen
-- path: device or file
-- passes: walks over mmlist
-- visits: mms it met
-- skipped: how many of these it skipped
-- members_before: members of mmlist when it began
-- members_after: members when it returned
-- drained: 1 it drained mmlist, 0 it did not, null unknown
-- ret: its return value
-- duration: time from begin to return, in the run's ts_unit
SELECT
    run,
    id,
    begin_line,
    end_line,
    path,
    passes,
    visits,
    visits - held AS skipped,
    members_before,
    members_after,
    drained,
    ret,
    end_ts - begin_ts AS duration
FROM v_swapoff
ORDER BY run, id
