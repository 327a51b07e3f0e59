"""`run.py doctor`: checks the synchronization of a running server from outside."""
