"""Maintenance of a data set: purge, backup, restore, and their schedule."""
