"""The verbs of the API: their names, payloads and decoders."""
