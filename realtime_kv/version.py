"""The version of this program. pyproject.toml, `--version`, the API and the OpenAPI document take it from here."""

VERSION = "0.1.0"
