"""Application factory: create the services of one running application and connect them."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from flask import Flask

from realtime_kv.accounts.context import record_client
from realtime_kv.accounts.mail import Send
from realtime_kv.accounts.service import Accounts
from realtime_kv.clock import now_ms, steady_ms
from realtime_kv.concurrency.runtime import InlineRuntime, Runtime, repeat
from realtime_kv.concurrency.time_budget import TimeBudget
from realtime_kv.config import Config, secret_key
from realtime_kv.core.domain.space import Quota
from realtime_kv.core.retention.clock_guard import ClockGuard
from realtime_kv.core.retention.expiry import LOOK_SECONDS, Expiry
from realtime_kv.core.store import READER_SHARE, Store
from realtime_kv.core.transfer.jobs import TransferService
from realtime_kv.extensions import db, socketio
from realtime_kv.maintenance import Maintenance
from realtime_kv.metrics.limit_log import LimitLog
from realtime_kv.metrics_history import MetricsHistory
from realtime_kv.realtime.engineio import server as transport
from realtime_kv.realtime.engineio.budgets import NETWORK_BURST_SECONDS, NETWORK_SHARE
from realtime_kv.realtime.engineio.server import Limits
from realtime_kv.realtime.gateway import Gateway
from realtime_kv.realtime.sse.hub import StreamHub
from realtime_kv.request import authentication, origin_check
from realtime_kv.services import Gauges, Services, figures
from realtime_kv.storage.migrations import copies
from realtime_kv.storage.migrations import upgrade as migrations
from realtime_kv.storage.sqlite import connections
from realtime_kv.storage.sqlite.backend import SqliteBackend
from realtime_kv.storage.sqlite.files import damage
from realtime_kv.web import blueprints
from realtime_kv.web.http import security_headers, static_cache

# an open tab learns at most this late that its session has expired; its writes are refused at once
EXPIRY_SECONDS = 60


ROOT = Path(__file__).resolve().parent.parent


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
    steady = steady or (steady_ms if clock is now_ms else clock)
    config = config or Config.from_environ()
    runtime = runtime or InlineRuntime()
    app = Flask("realtime_kv", root_path=str(ROOT), template_folder="templates", static_folder="static")
    app.config.update(
        SECRET_KEY=secret_key(config),
        SQLALCHEMY_DATABASE_URI=connections.url(config.database_path),
    )

    db.init_app(app)
    with app.app_context():
        engine = db.engine
    damage.check(config.database_path, config.data_dir)
    connections.prepare(engine)
    if config.upgrade_copy:
        copies.keep_copy(engine, config.data_dir / "backups")
    migrations.upgrade(engine)

    backend = SqliteBackend(engine, config.disk_reserve)
    clock_guard = ClockGuard(backend, clock, steady)
    limit_log = LimitLog(clock)
    quota = Quota(
        config.quota_keys,
        config.quota_bytes,
        history_bytes=config.history_bytes,
        receipt_bytes=config.receipt_bytes,
        trash_bytes=config.trash_bytes,
    )
    network_budget = (
        TimeBudget[str](share=NETWORK_SHARE, burst_seconds=NETWORK_BURST_SECONDS) if config.rate_limits else None
    )
    store = Store(
        backend,
        runtime,
        quota=quota,
        value_bytes=config.value_bytes,
        trash_days=config.trash_days,
        reader_share=READER_SHARE if config.rate_limits else None,
        clock=clock,
        on_fatal=on_fatal,
        on_refusal=lambda limit, user_id, session: limit_log.record(limit, account=user_id, credential=session),
        on_limit=partial(record_client, limit_log, "requests_waiting"),
        on_hold=partial(record_client, limit_log, "reader_time"),
    )
    accounts = Accounts(
        store.writer,
        store.readers,
        runtime,
        config,
        clock,
        send=send,
        steady=steady,
        guard=clock_guard,
        identity=store.identity,
        check_room=store.reserve.check,
        limit_log=limit_log,
    )
    clock_guard.attach(store.writer, runtime)
    if accounts.rates is not None:
        store.charge_with(accounts.rates.charge)
    accounts.watch(lambda ended: store.end_session(ended.user_id, ended.session_id))
    repeat(runtime, EXPIRY_SECONDS, accounts.end_expired)
    gateway = Gateway(config, runtime, store, accounts, limit_log)
    streams = StreamHub(config, runtime, store, accounts, limit_log)
    expiry = Expiry(store, clock_guard.expiry_now)
    repeat(runtime, LOOK_SECONDS, expiry.look)

    def after_restore() -> None:
        gateway.after_restore()
        streams.after_restore()
        expiry.after_restore()
        # the restored data contains the clock line from the time of the backup
        clock_guard.save()

    operations = Maintenance(config, runtime, store, clock_guard, clock, after_restore)
    operations.schedule()
    transfer_rate = config.verbs_per_second if config.rate_limits else None
    transfer = TransferService(runtime, store, config.data_dir, limit_log, transfer_rate, steady)
    gauges: Gauges = [store.metrics, gateway.metrics, streams.metrics, clock_guard.metrics]
    metrics_history = MetricsHistory(
        runtime, store.readers, store.latency, partial(figures, gauges), Path(str(engine.url.database)), steady
    )
    gauges.append(metrics_history.metrics)
    app.extensions["realtime_kv"] = Services(
        config,
        runtime,
        store,
        accounts,
        gateway,
        streams,
        operations,
        transfer,
        metrics_history,
        expiry,
        limit_log,
        network_budget,
        clock_guard,
        gauges,
        worker,
    )

    blueprints.register(app)

    def allows_origin(_origin: str | None, environ: dict[str, Any]) -> bool:
        return origin_check.allows(environ, config)

    def refuse_origin(environ: Mapping[str, Any]) -> str:
        refusal = origin_check.refusal(environ, config)
        accounts.noticed.note_misaddressed(refusal)
        return refusal.message

    # a page on another origin authenticates with a bearer token, never with a cookie
    socketio.init_app(app, async_mode="eventlet", cors_allowed_origins=allows_origin, cors_credentials=False)
    limits = Limits(
        connections_per_address=config.connections_per_address if config.rate_limits else None,
        address=partial(authentication.address, config=config),
        network_budget=network_budget,
        limit_log=limit_log,
        refuse_origin=refuse_origin,
    )
    app.wsgi_app = transport.holding(  # type: ignore[method-assign, assignment]
        security_headers.everywhere(static_cache.from_memory(app.wsgi_app, config, ROOT / "static"), config), limits
    )
    gateway.attach(socketio.server, transport.install(socketio.server, gateway, limits, runtime, worker))
    return app
