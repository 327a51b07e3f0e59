"""The store itself: stdlib, SQLAlchemy and msgspec; nothing of Flask, Socket.IO or eventlet."""
