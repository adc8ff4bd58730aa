-- What became of each invariant in each run: one that was not checked says why.
-- code: code of the invariant (M1)
-- slug: name of the invariant, the fault it reports
-- severity: E an error of the traced kernel, W suspicious
-- status: checked, not checked or ignored
-- reason: why it was not checked
-- run: number of the run
-- violations: how many violations of it were found
SELECT
    code,
    slug,
    severity,
    status,
    reason,
    run,
    (SELECT count(*) FROM violation WHERE violation.run = invariant.run AND violation.code = invariant.code)
        AS violations
FROM invariant
