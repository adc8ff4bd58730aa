"""From a log to its history: records, events, the model, the invariants, the facts."""
