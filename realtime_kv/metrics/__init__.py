"""What the server measures and records about itself; imports nothing of the other packages."""
