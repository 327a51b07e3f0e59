"""What superusers may do with accounts, and what they may see."""
