"""A TCP proxy between a device and the server that can be cut: its connections break, and new ones are closed."""

import socket
import threading
import time

CHUNK = 65536


class CuttableProxy:
    """A TCP proxy to the server on a port of its own, with a thread per direction."""

    def __init__(self, name: str, port: int) -> None:
        self.name = name
        self.cuts = 0
        self._port = port
        self._cut_until = 0.0
        self._ends: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def is_cut(self) -> bool:
        return time.monotonic() < self._cut_until

    def cut(self, seconds: float) -> None:
        """Break all connections, and close new ones at once for `seconds`."""
        self._cut_until = time.monotonic() + seconds
        self.cuts += 1
        with self._lock:
            ends = list(self._ends)
        for end in ends:
            _hang_up(end)

    def close(self) -> None:
        """Cut the connections and stop listening, permanently."""
        self.cut(3600)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                device, _ = self._listener.accept()
            except OSError:
                return
            try:
                if self.is_cut:
                    raise OSError("cut")
                server = socket.create_connection(("127.0.0.1", self._port), timeout=5)
            except OSError:
                device.close()
                continue
            for end in (device, server):
                end.settimeout(None)
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                self._ends |= {device, server}
            threading.Thread(target=self._forward, args=(device, server), daemon=True).start()
            threading.Thread(target=self._forward, args=(server, device), daemon=True).start()

    def _forward(self, source: socket.socket, target: socket.socket) -> None:
        try:
            while data := source.recv(CHUNK):
                target.sendall(data)
        except OSError:
            pass
        finally:
            for end in (source, target):
                _hang_up(end)
            with self._lock:
                self._ends -= {source}
            source.close()


def _hang_up(end: socket.socket) -> None:
    try:
        end.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
