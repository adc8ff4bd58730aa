"""How fast mmlist is, side by side with what else reads such logs: `make bench` (CONTRIBUTING.md), docs/bench.md.

cases       what is measured, and the goals
logs, noise the logs, built by `mmlist simulate`; what other subsystems say between its lines
contenders  the programs: floor, scripts, libraries, mmlist
clock       runs one program, tells wall time, CPU time and peak memory
measure     runs the programs in turns
stages      mmlist's stages, one after the other
results     what was measured, as data; kept in a file
page, plot  docs/bench.md, docs/bench.svg
"""
