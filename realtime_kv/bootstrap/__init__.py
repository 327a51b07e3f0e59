"""Set-up of a checkout, with nothing but the standard library."""
