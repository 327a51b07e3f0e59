"""Recently reached limits for the diagnostics page: in words, with the account, network and token."""

from collections.abc import Iterable
from typing import Any

from realtime_kv.metrics.limit_log import LimitReached
from realtime_kv.services import services, wait

MAX_SHOWN = 50

TITLES = {
    "account_changes": "Account changes in a row",
    "changes_in_the_long_run": "Account changes in the long run",
    "connections_per_address": "Connections of one network",
    "disk_reserve": "Reserve of disk space",
    "empty_frames": "Frames without content",
    "exports_of_all_tokens": "Exports of all API tokens of a user",
    "exports_per_token": "Exports of one API token",
    "exports_per_user": "Exports of one user",
    "http_connections": "HTTP connections of one network",
    "imports": "Imports in progress",
    "mails_per_account": "Mails to one account",
    "mails_per_network": "Mails caused by one network",
    "password_confirmations": "Password confirmations of one session",
    "passwords_waiting": "Passwords waiting to be hashed",
    "processor_time": "Processor time of one user's requests",
    "quota_bytes": "Quota of bytes",
    "quota_disk": "Share of a disk that is nearly full",
    "quota_keys": "Quota of keys",
    "quota_receipts": "Receipts of one user",
    "quota_trash": "Trash of one user",
    "reader_time": "Processor time of one user's reads",
    "recovery_attempts": "Recovery attempts",
    "request_bodies": "Request bodies in memory of one user or network",
    "request_bodies_total": "Request bodies in memory",
    "requests_waiting": "Reads waiting",
    "second_step_attempts": "Second-step codes",
    "sign_in_attempts": "Sign-in attempts",
    "sign_ins_in_the_long_run": "Sign-ins to one account in the long run",
    "sign_ins_per_account": "Sign-ins to one account",
    "sign_ups_per_network": "Sign-ups from one network",
    "streams_of_all_tokens": "Streams of all API tokens of a user",
    "streams_per_address": "Streams of one network",
    "streams_per_token": "Streams of one API token",
    "streams_per_user": "Streams of one user",
    "tabs_of_all_tokens": "Tabs of all API tokens of a user",
    "tabs_per_token": "Tabs of one API token",
    "tabs_per_user": "Tabs of one user",
    "transfer_time": "Processor time of one user's exports and imports",
    "transfer_volume": "Volume of exports and imports",
    "unanswered_requests": "Unanswered requests of one tab",
    "unauthenticated_work": "Work for clients that are not signed in",
    "verbs_per_second": "Operations per second of a user",
    "verbs_per_token": "Operations per second of API tokens",
    "writes_waiting": "Writes waiting",
}


def recent(now: int) -> list[dict[str, Any]]:
    """Return the limits that were reached last, the latest first, as the page and its JSON show them."""
    rows = services().limit_log.recent()[:MAX_SHOWN]
    names = _names({row.account for row in rows if row.account is not None})
    return [_row(row, names, now) for row in rows]


def _row(row: LimitReached, names: dict[int, str], now: int) -> dict[str, Any]:
    account = None
    if row.account is not None:
        account = {"id": row.account, "name": names.get(row.account, f"user {row.account}")}
    return {
        "limit": TITLES.get(row.limit, row.limit.replace("_", " ").capitalize()),
        "account": account,
        "network": row.network or "–",
        "credential": row.credential or "–",
        "count": f"{row.count:,}",
        "first": _ago(now - row.first),
        "last": _ago(now - row.last),
    }


def _ago(ms: int) -> str:
    """Format an age in its largest unit: "just now", "3 min ago", "2 h ago"."""
    for length, unit in ((24 * 3_600_000, "d"), (3_600_000, "h"), (60_000, "min")):
        if ms >= length:
            return f"{ms // length} {unit} ago"
    return "just now"


def _names(accounts: Iterable[int]) -> dict[int, str]:
    wanted = sorted(accounts)
    return wait(services().accounts.administration.names(wanted)) if wanted else {}
