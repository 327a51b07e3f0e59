"""Benchmark parts, a module each: `measure(setting)`, `rows(measured)` for people, `plots(measured)` as SVG."""
