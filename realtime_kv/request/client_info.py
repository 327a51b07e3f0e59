"""Client info as it is stored: the program, in the server's words, and the address."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ClientInfo:
    """`label` is "Firefox on Linux"; `address` an IP address, or empty for the command line."""

    label: str = "Command line"
    address: str = ""


NOWHERE = ClientInfo()
