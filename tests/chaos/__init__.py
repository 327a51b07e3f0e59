"""Random runs of faults that a tab meets in the field: sleep, network change, swallowed packets, upgrade, sign-out."""
