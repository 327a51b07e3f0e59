"""Client names for people, such as "Firefox on Linux", from the `User-Agent` header.

The names come from tables in this module, so nothing that a client sends is shown to anybody.
"""

UNKNOWN = "Unknown client"

# the first match counts: browsers name their ancestors too, so the youngest come first
_BROWSERS = (
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("Vivaldi/", "Vivaldi"),
    ("FxiOS/", "Firefox"),
    ("Firefox/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("Chromium/", "Chromium"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
)
_SYSTEMS = (
    ("Windows", "Windows"),
    ("iPhone", "iOS"),
    ("iPad", "iPadOS"),
    ("Android", "Android"),
    ("CrOS", "ChromeOS"),
    ("Mac OS X", "macOS"),
    ("Linux", "Linux"),
    ("X11", "Unix"),
)
_PROGRAMS = (
    ("curl/", "curl"),
    ("Wget/", "Wget"),
    ("HTTPie/", "HTTPie"),
    ("PostmanRuntime/", "Postman"),
    ("python", "Python"),
    ("aiohttp/", "Python"),
    ("websocket-client", "Python"),
    ("Werkzeug/", "Python"),
    ("Deno/", "Deno"),
    ("Bun/", "Bun"),
    ("node", "Node.js"),
    ("undici", "Node.js"),
    ("axios/", "Node.js"),
    ("Go-http-client/", "Go"),
    ("okhttp/", "Java"),
    ("Java/", "Java"),
)


def label(user_agent: str) -> str:
    """Return the name of the browser and its system, or of the program; "Unknown client" for anything else."""
    if user_agent.startswith("Mozilla/"):
        browser, system = _first(_BROWSERS, user_agent), _first(_SYSTEMS, user_agent)
        if browser:
            return f"{browser} on {system}" if system else browser
    lowered = user_agent.lower()
    return _first([(mark.lower(), name) for mark, name in _PROGRAMS], lowered) or UNKNOWN


def _first(marks: "tuple[tuple[str, str], ...] | list[tuple[str, str]]", text: str) -> str | None:
    return next((name for mark, name in marks if mark in text), None)
