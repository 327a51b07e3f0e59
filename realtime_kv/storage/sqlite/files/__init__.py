"""The database file and its write-ahead log: backups, damage, free space, rewriting, checkpoints."""
