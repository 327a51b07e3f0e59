"""What users prove themselves with: passwords, codes, one-time tokens, sessions."""
