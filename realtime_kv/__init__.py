"""A self-hosted, per-user, real-time key/value store: localStorage that follows the user and never lies."""
