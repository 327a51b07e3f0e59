"""HTTP layer: pages, the HTTP API, administration, health checks."""
