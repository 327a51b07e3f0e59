"""The sender of a request: credentials, address, origin, program."""
