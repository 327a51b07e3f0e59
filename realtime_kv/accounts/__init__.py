"""Accounts: users, their passwords and their sessions. Knows no Flask, socket or eventlet; writes through the core."""
