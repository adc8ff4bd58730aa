-- Swap areas in use, each from its swapon to its swapoff.
-- run: number of the run
-- type: index of the area; null: unknown
-- path: device or file; null: unknown
-- swapon_line: line at which it came into use; null: before the log
-- swapoff_line: line at which it went out of use; null: still in use when the log ended
-- swapon_ts: time of swapon_line, in the run's ts_unit
-- swapoff_ts: time of swapoff_line
SELECT run, type, path, swapon_line, swapoff_line, swapon_ts, swapoff_ts
FROM swap_area
