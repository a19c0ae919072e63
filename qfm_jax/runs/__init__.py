"""Runs: presets, what is asked for, the directory of a run, and what carries it out."""
