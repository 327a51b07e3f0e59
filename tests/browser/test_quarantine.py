"""A write that ends every connection on which it is sent is set aside, and later writes go on."""

import socket
import threading

from playwright.sync_api import expect

from tests.browser.browsing import Tab

MAX_BYTES = 30_000  # bytes in one piece


class SizeLimitingProxy:
    """A proxy that ends each connection that brings more than `MAX_BYTES` bytes at a time, unless it is `lenient`."""

    def __init__(self) -> None:
        self.lenient = False
        self.port = 0  # of the server
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self.port))
            except OSError:
                # the test is over
                return
            threading.Thread(target=self._copy, args=(client, server, True), daemon=True).start()
            threading.Thread(target=self._copy, args=(server, client, False), daemon=True).start()

    def _copy(self, source: socket.socket, target: socket.socket, checked: bool) -> None:
        try:
            while data := source.recv(1024 * 1024):
                if checked and not self.lenient and len(data) > MAX_BYTES:
                    break
                target.sendall(data)
        except OSError:
            pass
        finally:
            for end in (source, target):
                try:
                    end.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass


def test_write_that_closes_every_connection_is_quarantined_and_can_be_retried(make_person, start_server):
    proxy = SizeLimitingProxy()
    server = start_server(RKV_PUBLIC_URL=proxy.url)
    proxy.port = server.port
    ada = make_person("ada", server=server)
    ada.expects_outage = True
    tab = Tab(ada, ada.new_page())
    tab.page.goto(f"{proxy.url}/keys")
    tab.is_live()
    told = tab.page.evaluate("""async () => {
      const kv = window.kv = await (await import("/rkv.js")).connect()
      const poison = kv.set("large", "x".repeat(60_000)).then(() => "written", ({ code }) => code)
      const later = [await kv.set("a", 1), await kv.set("b", 2)]
      const kept = kv.quarantined.map(({ keys }) => keys)
      return [await poison, later.map(({ version }) => version), kept, kv.pending.length]
    }""")
    assert told == ["quarantined", [1, 1], [["large"]], 0]
    proxy.lenient = True
    assert tab.page.evaluate("kv.retry(kv.quarantined[0].payload.op_id).then(({ version }) => version)") == 1
    assert tab.page.evaluate("kv.quarantined.length") == 0
    proxy.lenient = False
    # a write of the dashboard: it reports the write, and keeps it until the user decides
    tab.create("mine", '"' + "y" * 60_000 + '"')
    tab.look().page.locator("#quarantined").click()
    dialog = tab.page.get_by_role("dialog", name="Changes that were not sent")
    expect(dialog).to_contain_text("mine")
    dialog.get_by_role("button", name="Discard").click()
    expect(dialog).to_be_hidden()
    expect(tab.page.locator("#quarantined")).to_have_count(0)
    tab.is_live()
    proxy.close()
