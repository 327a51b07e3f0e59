"""Administration of accounts by superusers: commands and queries."""
