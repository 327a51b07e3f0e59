"""The HTTP API: verbs, accounts, transfer, change stream, OpenAPI and its page."""
