import pytest

from realtime_kv.request.user_agents import label

LINUX = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko)"


@pytest.mark.parametrize(
    ("user_agent", "expected"),
    [
        ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox on Linux"),
        (f"{LINUX} Chrome/140.0.0.0 Safari/537.36", "Chrome on Linux"),
        (f"{LINUX} HeadlessChrome/140.0.0.0 Safari/537.36", "Chrome on Linux"),
        (
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/140.0 Safari/537.36 Edg/140.0",
            "Edge on Windows",
        ),
        (
            "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 Version/18.0 Safari/605.1.15",
            "Safari on macOS",
        ),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 Version/18.0 Safari/604.1",
            "Safari on iOS",
        ),
        (
            "Mozilla/5.0 (Linux; Android 15; Pixel 8) AppleWebKit/537.36 Chrome/140.0 Mobile Safari/537.36",
            "Chrome on Android",
        ),
        ("curl/8.5.0", "curl"),
        ("python-requests/2.32.3", "Python"),
        ("Python-urllib/3.11", "Python"),
        ("Python/3.11 aiohttp/3.10.5", "Python"),
        ("Python/3.11 websockets/15.0", "Python"),
        ("node", "Node.js"),
        ("node-XMLHttpRequest", "Node.js"),
        ("undici", "Node.js"),
        ("Go-http-client/1.1", "Go"),
        ("", "Unknown client"),
        ("<script>alert(1)</script>", "Unknown client"),
        ("Mozilla/5.0 (nothing known)", "Unknown client"),
    ],
)
def test_user_agents_are_labelled_with_the_client_and_operating_system(user_agent, expected):
    assert label(user_agent) == expected
