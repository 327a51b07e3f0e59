"""Retention: removal of expired entries, trash, old history and receipts; the disk reserve."""
