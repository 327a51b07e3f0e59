"""The Engine.IO transport, in place of the engineio package's server."""
