"""Clocks that are set back or forward while an application runs, and between two runs."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from realtime_kv.accounts.visit import Visit
from realtime_kv.app import House, create_app
from realtime_kv.config import Config
from realtime_kv.core.errors import RateLimited

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
YEAR = 365 * DAY
PASSWORD = "correct horse battery"


class Time:
    """A wall clock and a monotonic clock: time passes for both, and only the wall clock can be set."""

    def __init__(self) -> None:
        self.wall, self.steady = 1_800_000_000_000, 5_000

    def passes(self, ms: int) -> None:
        self.wall += ms
        self.steady += ms

    def is_set(self, by: int) -> None:
        self.wall += by


class Running:
    """An application on a data folder, run inline."""

    def __init__(self, folder: Path, time: Time, **settings: Any) -> None:
        app = create_app(Config(data_dir=folder, **settings), clock=lambda: time.wall, steady=lambda: time.steady)
        self.time, self.house = time, app.extensions["realtime_kv"]
        assert isinstance(self.house, House)

    def wait(self, future: Any) -> Any:
        return self.house.runtime.wait(future, 10)


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def start(tmp_path: Path, time: Time) -> Iterator[Callable[..., Running]]:
    """Start an application on the same folder, after stopping the one before."""
    running: list[Running] = []

    def start(**settings: Any) -> Running:
        for before in running:
            before.house.stop()
        running[:] = [Running(tmp_path / "data", time, **settings)]
        return running[0]

    yield start
    for app in running:
        app.house.stop()


# durations


def test_nobody_has_to_wait_when_the_clock_is_set_back(start, time):
    app, here = start(), Visit("curl", "192.0.2.7")
    app.wait(app.house.accounts.sign_up("Alice", PASSWORD, here))
    app.wait(app.house.accounts.sign_in("Alice", PASSWORD, here))
    for by in (-HOUR, -YEAR):
        time.is_set(by)
        app.wait(app.house.accounts.sign_in("Alice", PASSWORD, here))
        app.wait(app.house.accounts.sign_up(f"Other{-by}", PASSWORD, here))


def test_setting_the_clock_forward_ends_no_delay(start, time):
    app = start()
    limits = app.house.accounts.context.limits
    for _ in range(5):
        limits.sign_in("192.0.2.7", "alice")
    time.is_set(YEAR)
    with pytest.raises(RateLimited):
        limits.sign_in("192.0.2.7", "alice")


def test_figures_per_second_do_not_depend_on_the_wall_clock(start, time):
    app = start()
    chronicle = app.house.chronicle
    time.passes(10_000)
    app.house.store.pulse.verbs += 100
    time.is_set(-HOUR)
    assert app.wait(chronicle.now()).figures["verbs_per_second"] == 10
