"""Benchmarks: side by side in one run, printed as tables. Never part of the tests."""
