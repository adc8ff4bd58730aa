-- The runs of this file: one log replayed as one profile, with the verdict.
-- run: number of the run in this file
-- verdict: conforming, violated or unknown
-- reason: why the verdict is what it is, in words
-- file: path of the log as it was given
-- profile: kernel whose rules were applied: 2.6.9, 2.6.10 or modern
-- profile_reason: what in the log, or which option, decided the profile
-- clock: the trace clock, as far as the log tells it
-- ts_unit: unit of every ts of the run: ns (nanoseconds), raw (the clock's own number), none (the log has no times)
-- compared: how often the log showed links, heads or counts that could be held against the model
-- differing: how often these differed from the model
-- errors: violations of severity E that are proven or likely
-- warnings: violations of severity W that are proven or likely
-- undecided: violations that a loss or an open order leaves undecided
-- losses: places where events are missing from the log
-- unparsed: lines that could not be read
-- lines: lines of the log
-- events: events that were replayed
-- size: bytes of the log, decompressed
-- sha256: hash of the log's content
-- dialect: textual format of the log
-- options: options of the replay that belong to the run's identity
-- release: kernel release, where the log tells it
-- mmlist_offset: offset of the field mmlist in mm_struct, in bytes; null: unknown
-- mmlist_offset_source: where the offset comes from
-- init_mm: address of init_mm, the list's head; null: unknown
-- init_mm_source: where the address of init_mm comes from
SELECT
    run.id AS run,
    run.verdict,
    run.reason,
    run.log AS file,
    run.profile,
    run.profile_reason,
    run.clock,
    run.ts_unit,
    run.compared,
    run.differing,
    (SELECT count(*) FROM violation AS v WHERE v.run = run.id AND v.severity = 'E' AND v.certainty <> 'undecided')
        AS errors,
    (SELECT count(*) FROM violation AS v WHERE v.run = run.id AND v.severity = 'W' AND v.certainty <> 'undecided')
        AS warnings,
    (SELECT count(*) FROM violation AS v WHERE v.run = run.id AND v.certainty = 'undecided') AS undecided,
    (SELECT count(*) FROM loss WHERE loss.run = run.id) AS losses,
    (SELECT count(*) FROM unparsed WHERE unparsed.run = run.id) AS unparsed,
    run.lines,
    run.events,
    run.size,
    run.sha256,
    run.dialect,
    run.options,
    run.release,
    run.mmlist_offset,
    run.mmlist_offset_source,
    run.init_mm,
    run.init_mm_source
FROM run
