"""The version of this program, as `me` and `identify` report it."""

VERSION = "0.1.0"
