"""Every route and every event, called by ten identities: the matrix lists each result, and no route is left out."""

import pytest

from realtime_kv.app import create_app
from realtime_kv.config import Config
from realtime_kv.verbs import registry as verbs
from tests.authorization_matrix import rows
from tests.authorization_matrix.identities import IDENTITIES, SECRET, build

# methods that Werkzeug adds
OWN_METHODS = {"HEAD", "OPTIONS"}


@pytest.fixture(scope="module")
def data_set(tmp_path_factory):
    return build(tmp_path_factory.mktemp("data_set") / "data")


def routes(folder):
    app = create_app(Config(data_dir=folder))
    app.extensions["realtime_kv"].stop()
    return {f"{method} {rule.rule}" for rule in app.url_map.iter_rules() for method in rule.methods - OWN_METHODS}


def test_matrix_rows_match_the_routes_and_events_exactly(tmp_path):
    assert set(rows.ROUTES) == routes(tmp_path)
    assert set(rows.EVENTS) == set(verbs.VERBS)


@pytest.mark.parametrize("route", sorted(rows.ROUTES))
def test_a_route_grants_each_identity_exactly_its_permitted_access(data_set, tmp_path, route):
    method, rule = route.split(" ", 1)
    row = rows.ROUTES[route]
    with data_set.copy(tmp_path / "copy") as services:
        for identity in IDENTITIES:
            answer = services.ask(identity, method, row.path(rule, data_set), row.payload)
            assert answer.status_code < 500, f"{identity}: {answer.status}"
            assert outcome(answer) == row.expected(identity), f"{identity}: {answer.status} {answer.text[:300]}"
            if identity != "alice" and not row.reveals(identity):
                assert SECRET not in answer.text, identity


@pytest.mark.parametrize("event", sorted(rows.EVENTS))
def test_an_event_grants_each_identity_exactly_its_permitted_access(data_set, tmp_path, event):
    row = rows.EVENTS[event]
    with data_set.copy(tmp_path / "copy") as services:
        for identity in IDENTITIES:
            assert services.call(identity, event, row.payload) == row.expected(identity), identity


def outcome(answer):
    """Return the result: `sign in first`, `unauthenticated`, `forbidden`, or `open` if the call was admitted."""
    if answer.status_code == 303 and answer.location.split("?")[0] == "/signin":
        return "sign in first"
    return {401: "unauthenticated", 403: "forbidden"}.get(answer.status_code, "open")
