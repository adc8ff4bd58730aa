"""Boots the distribution's own kernels and captures from each: `make lab`. docs/capture.md says what comes of it."""
