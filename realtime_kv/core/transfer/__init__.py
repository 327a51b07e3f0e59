"""Export and import of a user's whole space."""
