"""The browser's own EventSource on the stream: it resumes by itself where it was."""

import http.client
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.live_server import DEADLINE, ROOT

LISTEN = """() => {
  window.heard = []
  const source = new EventSource("/api/v1/stream")
  for (const name of ["sync", "change", "signed_out"])
    source.addEventListener(name, ({ data, lastEventId }) => heard.push([name, JSON.parse(data), lastEventId]))
}"""
NEXT = """async () => {
  while (!heard.length) await new Promise((go) => setTimeout(go, 10))
  return heard.shift()
}"""


def test_event_source_resumes_after_the_server_is_killed(make_person, own_server):
    ada = make_person("ada", server=own_server)
    page = ada.new_page()
    page.goto(f"{own_server.url}/api")
    page.evaluate(LISTEN)
    name, first, at = page.evaluate(NEXT)
    assert (name, first["reset"], at) == ("sync", True, f"{first['epoch']}:0")
    ada.set("a", 1)
    name, change, at = page.evaluate(NEXT)
    assert (name, change["revision"], at) == ("change", 1, f"{first['epoch']}:1")
    ada.expects_outage = True
    own_server.kill()
    own_server.start()
    name, page_of_sync, _ = page.evaluate(NEXT)
    assert (name, page_of_sync["reset"], page_of_sync["from"]) == ("sync", False, 1)
    ada.set("a", 2)
    assert page.evaluate(NEXT)[1]["from"] == 1
    ada.call("sign_out")
    assert page.evaluate(NEXT)[:2] == ["signed_out", {"reason": "signed_out"}]
    # it asks once more, and is told that nobody is signed in
    ada.complaints = [text for text in ada.complaints if "status of 401" not in text]


class Proxy(BaseHTTPRequestHandler):
    """Forwards GETs as a proxy does: 502 while the server behind it is down."""

    protocol_version = "HTTP/1.1"
    port = 0

    def do_GET(self):
        upstream = http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE)
        try:
            upstream.request("GET", self.path, headers=dict(self.headers.items()))
            answer = upstream.getresponse()
        except OSError:
            self.refused.set()
            self.send_response(502)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in {"connection", "transfer-encoding", "content-length"}:
                self.send_header(name, value)
        self.send_header("Connection", "close")
        self.end_headers()
        while piece := answer.read1():
            self.wfile.write(piece)
            self.wfile.flush()
        self.close_connection = True

    def log_message(self, format, *args):
        """Log nothing."""


def test_documented_sample_reopens_the_stream_after_a_502_from_a_proxy(make_person, own_server):
    handler = type("ItsProxy", (Proxy,), {"port": own_server.port, "refused": threading.Event()})
    proxy = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=proxy.serve_forever, daemon=True).start()
    (sample,) = re.findall(r"```js\n(.*?)```", (ROOT / "docs" / "proxies.md").read_text(), re.DOTALL)
    ada = make_person("ada", server=own_server)
    cookie = ada.context.cookies()[0]
    at_the_proxy = f"rkv_session_{proxy.server_port}"
    ada.context.add_cookies([{**cookie, "name": at_the_proxy}])
    page = ada.new_page()
    page.goto(f"http://127.0.0.1:{proxy.server_port}/api")
    ada.expects_outage = True
    with page.expect_console_message(lambda message: message.text.startswith("sync")):
        page.evaluate(f"() => {{ {sample} }}")
    with page.expect_console_message(lambda message: message.text.startswith("change")):
        ada.set("a", 1)
    own_server.kill()
    assert handler.refused.wait(DEADLINE)
    with page.expect_console_message(lambda message: message.text.startswith("sync")) as again:
        own_server.start()
    assert again.value.args[1].evaluate("(sync) => [sync.reset, sync.from]") == [False, 1]
    with page.expect_console_message(lambda message: message.text.startswith("change")):
        ada.set("a", 2)
    ada.complaints = [text for text in ada.complaints if "status of 502" not in text]
    proxy.shutdown()
    proxy.server_close()
