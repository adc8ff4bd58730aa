"""From a log to its history: records, events, the model, the invariants, the facts."""

from mmlist.replay import built

__path__[:0] = built.folders()
