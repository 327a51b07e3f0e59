"""Settings: one frozen dataclass, read once from the `RKV_*` variables.

This is the only module that reads settings from the environment. A start with invalid settings reports all of them at
once, so they need not be fixed one start at a time.

Longer than 320 lines: one entry for each setting.
"""

import difflib
import os
import secrets
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from realtime_kv.origins import LOOPBACK, canonical_host, canonical_origin, format_origin

PREFIX = "RKV_"
_POSTGRES = ("postgresql://", "postgres://")
MIB = 1024 * 1024
# a message has at most 1 MiB, and must hold a value together with its key and the envelope
LARGEST_VALUE = MIB - 4096
WILDCARDS = {"0.0.0.0", "::", ""}  # noqa: S104 (recognised here, not bound)


class ConfigError(Exception):
    """Invalid settings; the message lists all of them, one per line."""


@dataclass(frozen=True)
class Config:
    """The settings of one server. Each has a default, so `Config(data_dir=…)` is complete."""

    host: str = "127.0.0.1"
    port: int = 5000
    data_dir: Path = Path("data")
    database_url: str | None = field(default=None, repr=False)
    workers: int = 1
    secret_key: str | None = field(default=None, repr=False)
    public_url: str | None = None
    origins: tuple[str, ...] = ()
    value_bytes: int = 64 * 1024
    quota_keys: int = 100_000
    quota_bytes: int = 64 * MIB
    rate_limits: bool = True
    proxies: int = 0
    hosts: tuple[str, ...] = ()
    session_days: int = 30
    session_idle_days: int = 14
    trash_days: int = 30
    history_days: int = 90
    history_bytes: int = 128 * MIB
    receipt_days: int = 7
    receipt_bytes: int = 256 * MIB
    trash_bytes: int = 256 * MIB
    disk_reserve: int | None = None
    audit_days: int = 365
    account_days: int = 14
    purge_hours: int = 6
    backup_hours: int = 0
    backup_keep: int = 7
    upgrade_copy: bool = True
    smtp_url: str | None = field(default=None, repr=False)
    mail_from: str | None = None
    admin_two_step: bool = False
    signups: str = "on"
    connections_per_address: int = 200
    connections_per_user: int = 200
    verbs_per_second: int = 2000
    keep_alive_seconds: int = 75

    def __post_init__(self) -> None:
        # code that constructs a Config may pass the text that a variable would contain
        object.__setattr__(self, "data_dir", Path(self.data_dir))
        object.__setattr__(self, "origins", _origins(" ".join(self.origins)))
        if self.public_url:
            object.__setattr__(self, "public_url", canonical_origin(self.public_url))
        object.__setattr__(self, "hosts", _hosts(" ".join(self.hosts)))
        for name in ("rate_limits", "admin_two_step", "upgrade_copy"):
            if isinstance(given := getattr(self, name), str):
                object.__setattr__(self, name, _switch(given))

    @classmethod
    def from_environ(cls, environ: Mapping[str, str] = os.environ, **given: Any) -> "Config":
        """Return the settings of `environ`, overridden by those `given` (from a command line, as text or as values).

        Raises ConfigError with one line for each bad setting.
        """
        settings: dict[str, Any] = {}
        problems: list[str] = []
        for name in _PARSERS:
            try:
                value = given.get(name)
                variable = PREFIX + name.upper()
                text = _read(environ, variable) if value is None else str(value)
                if text is not None:
                    settings[name] = _parse(name, text, variable)
            except ConfigError as problem:
                problems.append(str(problem))
        if not problems and settings.get("workers", 1) > 1:
            problems.append(
                "RKV_WORKERS: only one process can use a database so far, because the caches of several are not kept "
                "in step yet. Keep it at 1."
            )
        if problems:
            raise ConfigError("\n".join(problems))
        return cls(**settings)

    @property
    def postgres_url(self) -> str | None:
        """The connection string of a PostgreSQL database; None for a SQLite file. It may hold a password."""
        url = self.database_url
        return url if url is not None and url.startswith(_POSTGRES) else None

    @property
    def database_path(self) -> Path:
        """The SQLite file; its path may contain any character. Without meaning if there is a `postgres_url`."""
        if self.database_url and self.postgres_url is None:
            return Path(self.database_url.removeprefix("sqlite:///")).absolute()
        return self.data_dir.absolute() / "realtime_kv.db"

    @property
    def listening_url(self) -> str:
        """The URL at which this machine itself reaches the server."""
        host = "127.0.0.1" if self.host in WILDCARDS else self.host
        return format_origin("http", host, self.port)

    @property
    def url(self) -> str:
        """The URL to open: the public one, or else the listening one."""
        return self.public_url or self.listening_url

    @cached_property
    def own_hosts(self) -> frozenset[str]:
        """The host names accepted in `Host`, without port; cached because every request is checked against them."""
        named = LOOPBACK | set(self.hosts)
        if self.public_url:
            return named | {str(urlsplit(self.public_url).hostname)}
        if self.is_local:
            return named
        return named | _names_of_this_machine() | ({self.host.lower()} - WILDCARDS)

    @property
    def is_local(self) -> bool:
        """True if only this machine can connect."""
        return self.host in LOOPBACK or self.host.startswith("127.")

    @property
    def secure(self) -> bool:
        """True if users connect over TLS, so that cookies may be Secure."""
        return self.url.startswith("https://")


def unknown_settings(environ: Mapping[str, str] = os.environ) -> list[str]:
    """Return a sentence for each variable that looks like a setting but is none, with the setting perhaps meant."""
    known = {PREFIX + name.upper() for name in _PARSERS}
    known |= {f"{name}_FILE" for name in known}
    sentences = []
    for name in sorted(name for name in environ if name.startswith(PREFIX) and name not in known):
        near = difflib.get_close_matches(name, known, n=1)
        sentences.append(f"{name} is not a setting" + (f"; did you mean {near[0]}?" if near else "."))
    return sentences


def cautions(config: Config) -> list[str]:
    """Return a warning for each setting that works but is unsafe if others use the server (docs/security.md)."""
    sentences = []
    by_others = config.secure or not config.is_local
    if by_others and not config.secure:
        sentences.append(
            f"RKV_HOST is {config.host} and RKV_PUBLIC_URL is not https: passwords and values can be read on "
            "the network."
        )
    if config.secure and not config.proxies:
        sentences.append(
            "RKV_PUBLIC_URL is https and RKV_PROXIES is 0: all clients seem to have the address of the proxy, "
            "so one that guesses passwords delays all others. Set it to the number of proxies."
        )
    if config.postgres_url is not None and config.backup_hours:
        sentences.append(
            "RKV_BACKUP_HOURS has no effect on a PostgreSQL database: make backups with pg_dump or with base backups."
        )
    if by_others and not config.rate_limits:
        sentences.append("RKV_RATE_LIMITS is off: passwords can be guessed without a limit.")
    return sentences


def secret_key(config: Config) -> str:
    """Return the signing key: the configured one, or one created once in the data folder, for its owner only."""
    if config.secret_key:
        return config.secret_key
    config.data_dir.mkdir(parents=True, exist_ok=True)
    path = config.data_dir / "secret_key"
    if not path.exists():
        _create(path, secrets.token_urlsafe(48))
    key = path.read_text().strip()
    if len(key) < 32:
        raise ConfigError(f"{path} contains no secret key. Remove the file, and a new key is created.")
    return key


def _create(path: Path, text: str) -> None:
    # write a temporary file and link it into place: another process sees the whole key or none, and the first one wins
    draft = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "w") as file:
            file.write(text + "\n")
            file.flush()
            os.fsync(file.fileno())
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()


def _read(environ: Mapping[str, str], variable: str) -> str | None:
    """Return the text of a setting, from its variable or the file that `…_FILE` names; an empty variable is unset."""
    text, file = environ.get(variable) or None, environ.get(f"{variable}_FILE") or None
    if text is not None and file is not None:
        raise ConfigError(f"{variable} and {variable}_FILE are both set; keep one of them.")
    if file is None:
        return text
    try:
        content = Path(file).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise ConfigError(f"{variable}_FILE: {file} cannot be read ({reason}).") from None
    if not content:
        raise ConfigError(f"{variable}_FILE: {file} is empty.")
    return content


def _parse(name: str, text: str, variable: str) -> Any:
    try:
        return _PARSERS[name](text)
    except ValueError as error:
        shown = "" if name in _SECRET else f" {text!r}"
        raise ConfigError(f"{variable}:{shown} {error}.") from None


def _whole(least: int, most: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        digits = text.replace("_", "")
        if not (digits.isascii() and digits.isdecimal() and least <= int(digits[:20]) <= most):
            raise ValueError(f"must be a whole number from {least} to {most}")
        return int(digits)

    return parse


def _switch(text: str) -> bool:
    if text.lower() in {"on", "true", "1", "yes"}:
        return True
    if text.lower() in {"off", "false", "0", "no"}:
        return False
    raise ValueError('must be "on" or "off"')


def _signups(text: str) -> str:
    if text.lower() not in {"on", "off", "invite"}:
        raise ValueError('must be "on", "off" or "invite"')
    return text.lower()


def _host(text: str) -> str:
    host = text.strip().strip("[]")
    if not host or any(character.isspace() or character == "/" for character in host):
        raise ValueError("must be an address or a host name to listen on, such as 127.0.0.1")
    return host


def _database(text: str) -> str:
    if text.startswith(_POSTGRES):
        return _postgres(text)
    # each thread opens its own connection to one file
    if not text.startswith("sqlite:///") or text == "sqlite:///" or ":memory:" in text:
        raise ValueError(
            "must be a SQLite file, such as sqlite:////var/lib/realtime_kv/realtime_kv.db, "
            "or a PostgreSQL database, such as postgresql://kv@db.example.org/kv"
        )
    if "?" in text:
        raise ValueError("must be a SQLite file without options; for a path with a question mark set RKV_DATA_DIR")
    return text


def _postgres(text: str) -> str:
    try:
        # psycopg takes a tenth of a second to import
        from psycopg import ProgrammingError, conninfo  # noqa: PLC0415

        conninfo.conninfo_to_dict(text)
    except ProgrammingError:
        # the driver's own message may quote the password
        raise ValueError(
            "is not a connection string of PostgreSQL, such as postgresql://kv@db.example.org/kv?sslmode=verify-full "
            "(special characters in a password are percent-encoded)"
        ) from None
    return text


def _secret(text: str) -> str:
    if len(text) < 32:
        raise ValueError("must have at least 32 random characters")
    return text


def _origins(text: str) -> tuple[str, ...]:
    return tuple(canonical_origin(origin, any_scheme=True) for origin in text.replace(",", " ").split())


def _hosts(text: str) -> tuple[str, ...]:
    return tuple(canonical_host(host) for host in text.replace(",", " ").split())


def _names_of_this_machine() -> set[str]:
    """Return this machine's host name and its multicast DNS name in the local network."""
    try:
        name = canonical_host(socket.gethostname())
    except (OSError, ValueError):
        return set()
    return {name, f"{name.partition('.')[0]}.local"}


def _smtp(text: str) -> str:
    problem = ValueError("must be such as smtps://user:password@mail.example.org:465 (or smtp:// with STARTTLS)")
    try:
        parts = urlsplit(text.strip())
        _ = parts.port
    except ValueError:
        raise problem from None
    if parts.scheme not in {"smtp", "smtps"} or not parts.hostname or parts.path not in {"", "/"}:
        raise problem
    return text.strip()


def _mail_address(text: str) -> str:
    name, at, host = text.strip().rpartition("@")
    if not (name and at and host) or any(character.isspace() for character in text.strip()):
        raise ValueError("must be a mail address, such as kv@example.org")
    return text.strip()


_SECRET = {"secret_key", "database_url", "smtp_url"}
_PARSERS: dict[str, Callable[[str], Any]] = {
    "host": _host,
    "port": _whole(0, 65535),
    "data_dir": Path,
    "database_url": _database,
    "workers": _whole(1, 64),
    "secret_key": _secret,
    "public_url": canonical_origin,
    "origins": _origins,
    "value_bytes": _whole(1, LARGEST_VALUE),
    "quota_keys": _whole(1, 10**9),
    "quota_bytes": _whole(1, 10**15),
    "rate_limits": _switch,
    "proxies": _whole(0, 16),
    "hosts": _hosts,
    "session_days": _whole(1, 3650),
    "session_idle_days": _whole(1, 3650),
    "trash_days": _whole(1, 36_500),
    "history_days": _whole(1, 36_500),
    "history_bytes": _whole(1, 10**15),
    "receipt_days": _whole(7, 36_500),
    "receipt_bytes": _whole(1, 10**15),
    "trash_bytes": _whole(1, 10**15),
    "disk_reserve": _whole(0, 10**15),
    "audit_days": _whole(1, 36_500),
    "account_days": _whole(1, 36_500),
    "purge_hours": _whole(1, 8760),
    "backup_hours": _whole(0, 8760),
    "backup_keep": _whole(1, 10_000),
    "upgrade_copy": _switch,
    "smtp_url": _smtp,
    "mail_from": _mail_address,
    "admin_two_step": _switch,
    "signups": _signups,
    "connections_per_address": _whole(1, 10**6),
    "connections_per_user": _whole(1, 10**6),
    "verbs_per_second": _whole(1, 10**9),
    "keep_alive_seconds": _whole(1, 3600),
}
assert set(_PARSERS) == {setting.name for setting in fields(Config)}, "every setting has its parser"
