"""The browser's own EventSource on the stream: it comes back by itself to where it was."""

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


def test_it_goes_on_behind_a_server_that_was_killed(make_person, own_server):
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
