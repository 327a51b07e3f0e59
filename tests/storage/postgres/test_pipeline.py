"""The hand-packed arrays against psycopg's own adaptation, and pipelines that fail."""

import threading
import time

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg.adapt import PyFormat, Transformer

from realtime_kv.core.backend import Fault
from realtime_kv.storage.postgres import connections
from realtime_kv.storage.postgres.pipeline import (
    BOOLS,
    INT8S,
    TEXTS,
    Call,
    Pipeline,
    Statement,
    bools,
    int8,
    int8s,
    texts,
)

ECHO = Statement(b"echo", "SELECT $1, $2, $3", (INT8S, TEXTS, BOOLS))
DIVIDE = Statement(b"divide", "SELECT 1 / $1", (20,))
SLEEP = Statement(b"sleep", "SELECT pg_sleep($1 / 1000.0)", (20,))
numbers = st.integers(-(2**63), 2**63 - 1)
# PostgreSQL's text has no NUL, and no key, value or op_id holds one
words = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))


@pytest.fixture(scope="module")
def url(cluster):
    return cluster.create(empty=True)


@pytest.fixture
def connection(url):
    with connections.connect(url) as connection:
        yield connection


@pytest.fixture(scope="module")
def echo(url):
    with connections.connect(url) as connection:
        pipeline = Pipeline(connection, (ECHO,))
        yield lambda *parameters: pipeline.run([Call(ECHO, parameters)])[0][0]


@given(st.lists(st.none() | numbers), st.lists(words), st.lists(st.booleans()))
def test_packed_arrays_arrive_as_psycopg_would_send_them(echo, integers, strings, flags):
    assert echo(int8s(integers), texts(strings), bools(flags)) == (integers, strings, flags)


@given(st.lists(words, min_size=1))
def test_packed_texts_are_the_bytes_that_psycopg_sends(strings):
    assert texts(strings) == Transformer().get_dumper(strings, PyFormat.BINARY).dump(strings)


def test_statements_run_in_one_round_trip_and_in_order(connection):
    pipeline = Pipeline(connection, (ECHO, DIVIDE))
    assert pipeline.run([Call(DIVIDE, (int8(1),)), Call(DIVIDE, (int8(2),))]) == [[(1,)], [(0,)]]
    # psycopg's own cursors in between
    assert connection.execute("SELECT 1").fetchone() == (1,)
    assert pipeline.run([Call(DIVIDE, (int8(-1),))]) == [[(-1,)]]


def test_an_error_is_raised_and_the_connection_stays_usable(connection):
    pipeline = Pipeline(connection, (DIVIDE,))
    with pytest.raises(psycopg.errors.DivisionByZero):
        pipeline.run([Call(DIVIDE, (int8(0),)), Call(DIVIDE, (int8(1),))])
    assert pipeline.run([Call(DIVIDE, (int8(1),))]) == [[(1,)]]


def test_a_missed_deadline_closes_the_connection(connection):
    pipeline = Pipeline(connection, (SLEEP,), deadline=0.1)
    with pytest.raises(connections.ConnectionLost) as failed:
        pipeline.run([Call(SLEEP, (int8(5_000),))])
    assert connection.closed
    assert connections.fault(failed.value) is Fault.TRANSIENT


def test_a_lost_connection_is_noticed(connection, url):
    pipeline = Pipeline(connection, (SLEEP,))
    with connections.connect(url) as other:
        other.execute("SELECT pg_terminate_backend(%s)", (connection.info.backend_pid,))
        with pytest.raises(psycopg.OperationalError) as failed:
            pipeline.run([Call(SLEEP, (int8(100),))])
    assert connections.fault(failed.value) is Fault.TRANSIENT


def test_other_threads_run_while_the_server_works(connection):
    pipeline = Pipeline(connection, (SLEEP,))
    turns = 0
    stop = threading.Event()

    def count():
        nonlocal turns
        while not stop.is_set():
            turns += 1
            time.sleep(0.001)

    thread = threading.Thread(target=count)
    thread.start()
    pipeline.run([Call(SLEEP, (int8(500),))])
    stop.set()
    thread.join()
    # one that held the interpreter lock for half a second would leave a turn or two
    assert turns > 20


def test_large_parameters_do_not_block_either_side(echo):
    values = ["x" * 1_000_000] * 30
    assert echo(int8s([]), texts(values), bools([])) == ([], values, [])
