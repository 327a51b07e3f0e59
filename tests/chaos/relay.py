"""A network between browsers and the server, under a test's control: it drops, swallows, and refuses WebSocket."""

import socket
import threading

CHUNK = 65_536
HEAD = 8_192  # bytes to search for the head of a request


class Relay:
    """Forwards TCP connections from a port of its own to `port`, which may be set later."""

    def __init__(self, port: int = 0, *, websocket: bool = True) -> None:
        self.port = port
        self.accepted = 0
        self._websocket = websocket
        self._open: set[_Link] = set()
        self._lock = threading.Lock()
        self._swallowing = False
        self._refusing = False
        self._closed = False
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def drop(self) -> None:
        """Reset every connection; new ones work."""
        for link in self._links():
            link.close()

    def swallow(self) -> None:
        """Deliver and close nothing from now on. The connections of this time stay dead after `restore`."""
        self._swallowing = True
        self.kill_silently()

    def kill_silently(self) -> None:
        """Deliver nothing more on the current connections, without telling either side; new ones work."""
        for link in self._links():
            link.dead = True

    def refuse(self) -> None:
        """Reset every connection, and each new one."""
        self._refusing = True
        self.drop()

    def restore(self) -> None:
        """Let new connections work again."""
        self._swallowing = self._refusing = False

    def close(self) -> None:
        self._closed = True
        # a blocked accept() returns when a client connects
        with socket.socket() as last:
            last.settimeout(1)
            last.connect_ex(self._listener.getsockname())
        self._listener.close()
        self.drop()

    def _links(self) -> list["_Link"]:
        with self._lock:
            return [*self._open]

    def _accept(self) -> None:
        while not self._closed:
            client, _ = self._listener.accept()
            self.accepted += 1
            if self._refusing or self._closed:
                _reset(client)
                continue
            try:
                server = socket.create_connection(("127.0.0.1", self.port), timeout=5)
            except OSError:
                _reset(client)
                continue
            link = _Link(client, server, dead=self._swallowing)
            with self._lock:
                self._open.add(link)
            for source, target in ((client, server), (server, client)):
                threading.Thread(target=self._forward, args=(link, source, target), daemon=True).start()

    def _forward(self, link: "_Link", source: socket.socket, target: socket.socket) -> None:
        try:
            while data := source.recv(CHUNK):
                if link.dead:
                    continue
                if not self._websocket and source is link.client and _asks_for_upgrade(data):
                    source.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                    break
                target.sendall(data)
        except OSError:
            pass
        # a dead link stays silent until the browser itself has given up
        if source is link.client or not link.dead:
            link.close()
            with self._lock:
                self._open.discard(link)


class _Link:
    """The two halves of one forwarded connection."""

    def __init__(self, client: socket.socket, server: socket.socket, *, dead: bool) -> None:
        self.client = client
        self.server = server
        self.dead = dead
        for end in (client, server):
            end.settimeout(None)
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def close(self) -> None:
        for end in (self.client, self.server):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


def _asks_for_upgrade(data: bytes) -> bool:
    return b"upgrade: websocket" in data[:HEAD].lower()


def _reset(end: socket.socket) -> None:
    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
    end.close()
