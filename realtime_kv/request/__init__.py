"""What a request says of its sender: credentials, address, origin, program."""
