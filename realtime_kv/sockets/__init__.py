"""The socket door: `transport` moves messages, fast and bounded; the gateway says what they mean.

From the wire upwards: `websocket` (frames over a TCP connection), `packets` (what one message says), `connection` (one
engine.io connection, polling or WebSocket), `transport` (all of them, in the place of engine.io's own server).
"""
