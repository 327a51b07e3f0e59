"""A mail server on this machine that accepts all mail: the part of SMTP (RFC 5321) that `smtplib` needs."""

import queue
import socketserver
import threading

from tests.live_server import DEADLINE


class _Take(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        self._say("220 here")
        while command := self.rfile.readline().strip().upper():
            if command == b"QUIT":
                self._say("221 bye")
                return
            if command == b"DATA":
                self._say("354 go on")
                lines = []
                while (line := self.rfile.readline()) not in {b".\r\n", b""}:
                    lines.append(line.decode())
                self.server.taken.put("".join(lines))  # type: ignore[attr-defined]
            self._say("250 yes")

    def _say(self, line: str) -> None:
        self.wfile.write(line.encode() + b"\r\n")


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True

    def __init__(self, host: str) -> None:
        super().__init__((host, 0), _Take)
        self.taken: queue.SimpleQueue[str] = queue.SimpleQueue()


class Mailbox:
    """The mailbox that receives all mail."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        self._server = _Server(host)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        """Return the setting that sends mail here."""
        host, port = self._server.server_address[:2]
        return f"smtp://{host}:{port}"

    def next(self) -> str:
        """Return the next mail, unparsed."""
        return self._server.taken.get(timeout=DEADLINE)

    @property
    def is_empty(self) -> bool:
        """Return whether no further mail has arrived."""
        return self._server.taken.empty()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
