-- Lines that could not be read, with the reason; a hole of NULs before a line that was read has a row too.
-- run: number of the run
-- file: path of the log as it was given
-- line: line of the log
-- column: column at which reading stopped, from 1
-- reason: why it could not be read
-- severity: info, data_loss or error
-- text: the line, readable: what is not UTF-8 is shown as U+FFFD
-- raw: the line, untouched bytes
-- offset: byte offset of the line in the decompressed log
SELECT
    unparsed.run,
    run.log AS file,
    unparsed.line,
    unparsed."column",
    unparsed.reason,
    unparsed.severity,
    coalesce(unparsed.readable, CAST(unparsed.raw AS TEXT)) AS text,
    unparsed.raw,
    unparsed.offset
FROM unparsed
JOIN run ON run.id = unparsed.run
