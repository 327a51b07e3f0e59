"""`run.py demo`: devices that write, lose their connections and their server, and miss no change."""
