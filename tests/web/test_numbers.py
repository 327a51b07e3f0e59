"""URLs with numbers in them: any value gives a page or a refusal, and never a bug."""

import pytest

from realtime_kv.accounts.audit_log import CLI

PASSWORD = "correct horse battery"
NUMBERS = [
    "",
    "-1",
    "0",
    "1e9",
    "9" * 18,
    "9" * 19,
    "9" * 40,
    "0" * 20 + "9" * 30,
    "9" * 5000,
    "1.5",
    "\u0661",
    "%00",
    "%ff",
]
PATHS = [
    "/account/events?before=",
    "/api/v1/events?before=",
    "/api/v1/events?limit=",
    "/api/v1/list?limit=",
    "/admin/audit?before=",
    "/admin/audit?user=",
    "/admin/users?page=",
    "/admin/users/",
    "/admin/users/1/entries?after=",
]


@pytest.fixture
def root(site):
    services = site.app.extensions["realtime_kv"]
    services.runtime.wait(services.accounts.administration.create_user(CLI, "Root", password=PASSWORD, is_admin=True))
    visitor = site.visitor()
    visitor.call("sign_in", username="Root", password=PASSWORD)
    return visitor


@pytest.mark.parametrize("path", PATHS)
def test_numbers_of_any_length_in_urls_cause_no_server_error(root, path):
    for number in NUMBERS:
        assert root.get(path + number).status_code < 500, number
