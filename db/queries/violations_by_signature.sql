-- Bugs rather than sightings: violations of all runs grouped by what stays the same
-- signature: what stays the same when the same bug shows in another log
-- severity: E or W
-- violations: how many violations share it
-- runs: in how many runs
-- sightings: how often they were seen in all
-- roots: how many of them follow from nothing else
-- run: run of the first
-- id: the first in that run, as for `mmlist explain`
-- message: the first in one sentence
WITH numbered AS (
    SELECT *, row_number() OVER (PARTITION BY signature ORDER BY run, id) AS nth
    FROM v_violation
)
SELECT
    signature,
    min(severity) AS severity,
    count(*) AS violations,
    count(DISTINCT run) AS runs,
    sum(count) AS sightings,
    sum(follows_from IS NULL) AS roots,
    max(iif(nth = 1, run, NULL)) AS run,
    max(iif(nth = 1, id, NULL)) AS id,
    max(iif(nth = 1, message, NULL)) AS message
FROM numbered
GROUP BY signature
ORDER BY min(severity), sum(follows_from IS NULL) DESC, count(*) DESC, signature
