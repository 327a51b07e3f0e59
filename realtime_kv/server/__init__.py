"""The server process: HTTP, the event loop, the control socket, logs and the watchdog."""
