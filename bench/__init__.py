"""What it costs, measured against something else in the same run."""
