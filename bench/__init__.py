"""Benchmarks, compared with other servers in the same run."""
