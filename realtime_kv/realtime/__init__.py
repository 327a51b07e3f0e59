"""Real-time transports: `transport` moves messages, fast and bounded; `gateway` interprets them.

Layers, from the wire upwards: `outbox` (bounded send buffer), `websocket` (frames over a TCP connection), `packets`
(encoding of one message), `connection` (one Engine.IO session, polling or WebSocket), `connections` (the registry of
sessions and their limits), `transport` (all of it, in place of engine.io's own server).
"""
