-- Lives of mm_structs: an address is used again, each use is a generation.
-- run: number of the run
-- mm: address of the mm
-- generation: which life at that address, from 1
-- born_line: line of its birth; null: born before the log, or unseen
-- born_by: fork, exec or unknown
-- parent_mm: mm it was forked from
-- parent_generation: which life of the parent
-- first_line: first line that names it
-- last_line: last line that names it
-- final_put_line: line of the mmput that brought mm_users to 0
-- exit_mmap_line: line at which exit_mmap returned
-- freed_line: line at which the struct was freed; null: alive, or unseen
-- born_ts: time of its birth, in the run's ts_unit
-- freed_ts: time of the free
-- memberships: how often it was on mmlist
SELECT
    run,
    mm,
    generation,
    born_line,
    born_by,
    parent_mm,
    parent_generation,
    first_line,
    last_line,
    final_put_line,
    exit_mmap_line,
    freed_line,
    born_ts,
    freed_ts,
    (
        SELECT count(*) FROM membership
        WHERE membership.run = mm.run AND membership.mm = mm.mm AND membership.generation = mm.generation
    ) AS memberships
FROM mm
