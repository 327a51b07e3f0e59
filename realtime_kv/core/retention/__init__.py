"""What is removed with time: expired entries, trash, old history, receipts; the disk reserve."""
