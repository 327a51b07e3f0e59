"""SQLite: connections, statements, reads, history index, checkpoints, backup, checks."""
