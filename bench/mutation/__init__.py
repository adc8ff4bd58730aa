"""Which changes to the model and the invariants does no test notice? `make mutation`; docs/mutation.md says what came of it."""
