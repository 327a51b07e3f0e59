"""Where somebody comes from, as far as it is kept: the program they use, in words of ours, and their address."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Visit:
    """`label` is "Firefox on Linux"; `address` an IP address, or empty for the command line."""

    label: str = "Command line"
    address: str = ""


NOWHERE = Visit()
