"""Random runs of what happens to a tab in the field: sleep, another network, swallowed packets, upgrade, sign-out."""
