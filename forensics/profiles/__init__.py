"""Allocation stacks: one model for every profiler, and what can be asked of it."""
