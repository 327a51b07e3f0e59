"""Credentials: passwords, codes, one-time tokens, sessions."""
