"""Application factory: create the services of one running application and connect them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from flask import Flask
from sqlalchemy import Engine

from realtime_kv.accounts.context import record_client
from realtime_kv.accounts.mail import Send
from realtime_kv.accounts.service import Accounts
from realtime_kv.clock import now_ms, steady_ms
from realtime_kv.concurrency.runtime import InlineRuntime, Runtime, repeat
from realtime_kv.concurrency.time_budget import TimeBudget
from realtime_kv.config import Config, secret_key
from realtime_kv.core.backend import Backend
from realtime_kv.core.domain.space import Quota
from realtime_kv.core.retention.clock_guard import ClockGuard
from realtime_kv.core.retention.expiry import LOOK_SECONDS, Expiry
from realtime_kv.core.store import READER_SHARE, Store
from realtime_kv.core.transfer.jobs import TransferService
from realtime_kv.extensions import db, socketio
from realtime_kv.maintenance.service import Maintenance
from realtime_kv.metrics.limit_log import LimitLog
from realtime_kv.metrics_history import MetricsHistory
from realtime_kv.realtime.engineio import server as transport
from realtime_kv.realtime.engineio.budgets import NETWORK_BURST_SECONDS, NETWORK_SHARE
from realtime_kv.realtime.engineio.server import Limits
from realtime_kv.realtime.gateway import Gateway
from realtime_kv.realtime.sse.hub import StreamHub
from realtime_kv.request import authentication, origin_check
from realtime_kv.services import Gauges, Services, figures
from realtime_kv.storage import backends
from realtime_kv.storage.migrations import copies
from realtime_kv.storage.migrations import upgrade as migrations
from realtime_kv.web import blueprints
from realtime_kv.web.http import security_headers, static_cache

# an open tab learns at most this late that its session has expired; its writes are refused at once
EXPIRY_SECONDS = 60

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class _Setting:
    """What all services of an application have in common."""

    config: Config
    runtime: Runtime
    clock: Callable[[], int]
    steady: Callable[[], int]
    limit_log: LimitLog


def create_app(
    config: Config | None = None,
    runtime: Runtime | None = None,
    *,
    clock: Callable[[], int] = now_ms,
    steady: Callable[[], int] | None = None,
    send: Send | None = None,
    on_fatal: Callable[[BaseException], None] = lambda _: None,
    worker: int | None = None,
) -> Flask:
    """Create an application with its own data set, migrated to the current schema.

    Without a `runtime` all work runs inline in the caller, as Flask's and Socket.IO's test clients require.
    `clock` is the wall clock, `steady` measures durations; a `clock` passed alone serves as both.
    `worker` is the number of this process, if the server has several.
    """
    config = config or Config.from_environ()
    steady = steady or (steady_ms if clock is now_ms else clock)
    setting = _Setting(config, runtime or InlineRuntime(), clock, steady, LimitLog(clock))

    app = _create_flask(config)
    engine = _open_database(app, config)
    backend = backends.open_backend(engine, config)
    clock_guard = ClockGuard(backend, clock, steady)
    store = _open_store(setting, backend, on_fatal)
    accounts = _open_accounts(setting, store, clock_guard, send)
    clock_guard.attach(store.writer, setting.runtime)
    gateway = Gateway(config, setting.runtime, store, accounts, setting.limit_log)
    streams = StreamHub(config, setting.runtime, store, accounts, setting.limit_log)
    expiry = Expiry(store, clock_guard.expiry_now)
    repeat(setting.runtime, LOOK_SECONDS, expiry.look)
    operations = _schedule_maintenance(setting, store, clock_guard, gateway, streams, expiry)
    gauges: Gauges = [store.metrics, gateway.metrics, streams.metrics, clock_guard.metrics]
    metrics_history = MetricsHistory(
        setting.runtime, store.readers, store.latency, partial(figures, gauges), backend.file, steady
    )
    gauges.append(metrics_history.metrics)

    services = app.extensions["realtime_kv"] = Services(
        config,
        setting.runtime,
        store,
        accounts,
        gateway,
        streams,
        operations,
        _open_transfer(setting, store),
        metrics_history,
        expiry,
        setting.limit_log,
        _network_budget(config),
        clock_guard,
        gauges,
        worker,
    )
    blueprints.register(app)
    _serve_tabs(app, services, gateway)
    return app


def _create_flask(config: Config) -> Flask:
    database_url, engine_options = backends.engine_settings(config)
    app = Flask("realtime_kv", root_path=str(ROOT), template_folder="templates", static_folder="static")
    app.config.update(
        SECRET_KEY=secret_key(config),
        SQLALCHEMY_DATABASE_URI=database_url,
        SQLALCHEMY_ENGINE_OPTIONS=engine_options,
    )
    return app


def _open_database(app: Flask, config: Config) -> Engine:
    """Check the database, keep a copy of it before an upgrade, and migrate it."""
    db.init_app(app)
    with app.app_context():
        engine = db.engine
    backends.check(config)
    backends.prepare(engine)
    if config.upgrade_copy and config.postgres_url is None:
        copies.keep_copy(engine, config.data_dir / "backups")
    migrations.upgrade(engine)
    return engine


def _open_store(setting: _Setting, backend: Backend, on_fatal: Callable[[BaseException], None]) -> Store:
    config, limit_log = setting.config, setting.limit_log
    quota = Quota(
        config.quota_keys,
        config.quota_bytes,
        history_bytes=config.history_bytes,
        receipt_bytes=config.receipt_bytes,
        trash_bytes=config.trash_bytes,
    )
    return Store(
        backend,
        setting.runtime,
        quota=quota,
        value_bytes=config.value_bytes,
        trash_days=config.trash_days,
        reader_share=READER_SHARE if config.rate_limits else None,
        clock=setting.clock,
        on_fatal=on_fatal,
        on_refusal=lambda limit, user_id, session: limit_log.record(limit, account=user_id, credential=session),
        on_limit=partial(record_client, limit_log, "requests_waiting"),
        on_hold=partial(record_client, limit_log, "reader_time"),
    )


def _open_accounts(setting: _Setting, store: Store, clock_guard: ClockGuard, send: Send | None) -> Accounts:
    """Create the accounts, and connect them to the store: its charges, and the sessions that end."""
    accounts = Accounts(
        store.writer,
        store.readers,
        setting.runtime,
        setting.config,
        setting.clock,
        send=send,
        steady=setting.steady,
        guard=clock_guard,
        identity=store.identity,
        check_room=store.reserve.check,
        limit_log=setting.limit_log,
    )
    if accounts.rates is not None:
        store.charge_with(accounts.rates.charge)
    accounts.watch(lambda ended: store.end_session(ended.user_id, ended.session_id))
    repeat(setting.runtime, EXPIRY_SECONDS, accounts.end_expired)
    return accounts


def _schedule_maintenance(
    setting: _Setting,
    store: Store,
    clock_guard: ClockGuard,
    gateway: Gateway,
    streams: StreamHub,
    expiry: Expiry,
) -> Maintenance:
    def after_restore() -> None:
        gateway.after_restore()
        streams.after_restore()
        expiry.after_restore()
        # the restored data contains the clock line from the time of the backup
        clock_guard.save()

    operations = Maintenance(setting.config, setting.runtime, store, clock_guard, setting.clock, after_restore)
    operations.schedule()
    return operations


def _open_transfer(setting: _Setting, store: Store) -> TransferService:
    config = setting.config
    rate = config.verbs_per_second if config.rate_limits else None
    return TransferService(setting.runtime, store, config.data_dir, setting.limit_log, rate, setting.steady)


def _network_budget(config: Config) -> TimeBudget[str] | None:
    if not config.rate_limits:
        return None
    return TimeBudget[str](share=NETWORK_SHARE, burst_seconds=NETWORK_BURST_SECONDS)


def _serve_tabs(app: Flask, services: Services, gateway: Gateway) -> None:
    """Put the real-time transport in place of Flask-SocketIO's, and wrap the WSGI app."""
    config = services.config

    def allows_origin(_origin: str | None, environ: dict[str, Any]) -> bool:
        return origin_check.allows(environ, config)

    def refuse_origin(environ: Mapping[str, Any]) -> str:
        refusal = origin_check.refusal(environ, config)
        services.accounts.noticed.note_misaddressed(refusal)
        return refusal.message

    # a page on another origin authenticates with a bearer token, never with a cookie
    socketio.init_app(app, async_mode="eventlet", cors_allowed_origins=allows_origin, cors_credentials=False)
    limits = Limits(
        connections_per_address=config.connections_per_address if config.rate_limits else None,
        address=partial(authentication.address, config=config),
        network_budget=services.network_budget,
        limit_log=services.limit_log,
        refuse_origin=refuse_origin,
    )
    app.wsgi_app = transport.streaming_middleware(  # type: ignore[method-assign, assignment]
        security_headers.everywhere(static_cache.from_memory(app.wsgi_app, config, ROOT / "static"), config), limits
    )
    gateway.attach(
        socketio.server, transport.EngineIOServer(socketio.server, gateway, limits, services.runtime, services.worker)
    )
