"""Measurements and records of the server about itself; imports nothing of the other packages."""
