"""The version of this program, as `me` tells it."""

VERSION = "0.1.0"
