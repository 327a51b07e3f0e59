"""The socket door: `transport` moves messages, fast and bounded; the gateway says what they mean.

From the wire upwards: `websocket` (frames over a TCP connection), `packets` (what one message says), `connection` (one
engine.io connection, polling or WebSocket), `connections` (all of them, and what each may take), `transport` (all that,
in the place of engine.io's own server).
"""
