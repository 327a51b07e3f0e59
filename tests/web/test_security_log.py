"""The security log: one line per refusal with its user and action, and without any data that the client sent."""

from realtime_kv.extensions import socketio
from realtime_kv.metrics.security_log import MAX_MISADDRESSED


def written(caplog):
    lines = [record.getMessage() for record in caplog.records if record.name == "realtime_kv.metrics.security_log"]
    return [line for line in lines if "RKV_" not in line]


def settings_named(caplog):
    return [record.getMessage() for record in caplog.records if "RKV_" in record.getMessage()]


def test_unknown_origins_and_hosts_are_logged_once_with_the_setting_to_change(site, alice, caplog):
    token = site.program("Alice").token
    for _ in range(3):
        alice.get("/api/v1/me", headers={"Origin": "https://app.example"})
        alice.post("/signout", headers={"Origin": "https://app.example"})
        alice.get("/signin", headers={"Host": "kv.lan"})
        socketio.test_client(site.app, headers={"Origin": "tauri://localhost"}, auth={"token": token})
        handshake = alice.get("/socket.io/?EIO=4&transport=polling", headers={"Origin": "https://third.example"})
        assert handshake.status_code == 400 and "RKV_ORIGINS has to list https://third.example" in handshake.text
    first, second, third, fourth = settings_named(caplog)
    assert "https://app.example" in first and "RKV_ORIGINS" in first and "RKV_PUBLIC_URL" in first
    assert "kv.lan" in second and "RKV_HOSTS" in second
    assert "tauri://localhost" in third and "RKV_ORIGINS" in third
    assert "https://third.example" in fourth
    assert all(line.isprintable() for line in settings_named(caplog))


def test_flood_of_host_names_does_not_fill_the_log(alice, caplog):
    for n in range(MAX_MISADDRESSED + 20):
        alice.get("/signin", headers={"Host": f"{n}.evil.example"})
    assert len(settings_named(caplog)) == MAX_MISADDRESSED


def test_forbidden_requests_are_logged_with_caller_and_action(alice, caplog):
    assert alice.get("/api/v1/me", headers={"Origin": "https://evil.example"}).status_code == 403
    assert alice.post("/signout", data={"csrf_token": "made up"}).status_code == 403
    assert written(caplog) == [
        "forbidden: GET /api/v1/me, by 127.0.0.1",
        "forbidden: POST /signout, by user 1 at 127.0.0.1",
    ]


def test_verbs_beyond_a_token_scope_are_logged_over_http_and_sockets(site, alice, caplog):
    made = alice.post("/api/v1/create_token", json={"name": "reader", "scope": "read"}).json
    program = site.visitor(made["token"])
    assert program.call("set", key="a-telling-key", value=1).status_code == 403
    socket = socketio.test_client(site.app, auth={"token": made["token"]})
    assert socket.emit("set", {"key": "a-telling-key", "value": 1}, callback=True)["error"]["code"] == "forbidden"
    assert written(caplog) == [
        "forbidden: POST /api/v1/set, by user 1 at 127.0.0.1",
        f"forbidden: a verb over a socket, by user 1 ({made['id']})",
    ]


def test_socket_from_another_origin_is_logged(site, alice, caplog):
    headers = {"Origin": "https://evil.example"}
    socket = socketio.test_client(site.app, headers=headers, auth={"token": site.program("Alice").token})
    assert not socket.is_connected()
    assert written(caplog) == ["forbidden: a socket, by somebody"]


def test_rate_limited_password_guesses_are_logged(stranger, caplog):
    for _ in range(8):
        stranger.call("sign_in", username="alice", password="not the password")
    assert "rate_limited: POST /api/v1/sign_in, by 127.0.0.1" in written(caplog)


def test_ordinary_client_errors_are_not_logged(alice, caplog):
    alice.call("get", key="nothing")
    alice.call("set", key="")
    alice.get("/nothing")
    assert written(caplog) == []
