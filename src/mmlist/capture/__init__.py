"""Capturing a log: the probes that a kernel allows, and a script that records with them."""
