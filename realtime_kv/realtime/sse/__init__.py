"""Server-sent events: the change stream over plain HTTP."""
