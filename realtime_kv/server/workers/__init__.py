"""Several worker processes on one port: their supervisor, and what passes between them."""
