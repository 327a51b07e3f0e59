"""Export and import jobs: write a user's space to a file, and import a file into it.

The jobs run on threads of their own, with unnamed files in the data folder, which disappear with the process however it
ends. The number of jobs at once is limited, for each user and in all.
"""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, TypeVar, cast

from realtime_kv.caller import Caller
from realtime_kv.clock import steady_ms
from realtime_kv.concurrency.fair_pool import Client, FairWorkerPool
from realtime_kv.concurrency.runtime import Future, Runtime, WorkerPool
from realtime_kv.core.backend import BackendReader, ExportFormat
from realtime_kv.core.domain import permissions
from realtime_kv.core.domain.cost import Cost
from realtime_kv.core.domain.credential_budgets import Budget, Exceeded
from realtime_kv.core.domain.operations import Op, Set
from realtime_kv.core.domain.space import Quota
from realtime_kv.core.messages import CountResult
from realtime_kv.core.store import READER_SHARE, Store
from realtime_kv.core.transfer import exporter
from realtime_kv.core.transfer.budget import TransferBudget
from realtime_kv.core.transfer.exporter import ExportReport
from realtime_kv.core.transfer.import_plan import ImportOptions, ImportPlan, Mode
from realtime_kv.core.transfer.import_reader import Format
from realtime_kv.core.transfer.importer import Importer, ImportReport, Progress
from realtime_kv.errors import Forbidden, RateLimited, Unavailable
from realtime_kv.metrics.limit_log import LimitLog

T = TypeVar("T")

THREADS = 2
# maximum of exports, and of imports, at once
MAX_JOBS = 32
EXPORTS_OF_A_USER = 2
# smaller files need no disk
_IN_MEMORY = 1024 * 1024
_WRITE_SECONDS = 60.0


class ExportFile:
    """A finished export of so many bytes, ready to be read; closing it deletes it."""

    def __init__(self, made: ExportReport, file: BinaryIO, files: WorkerPool, closed: Callable[[], None]) -> None:
        self.made = made
        self.bytes = file.tell()
        file.seek(0)
        self._file = file
        self._files = files
        self._closed = closed

    def read(self, most: int) -> Future[bytes]:
        """Return the next bytes; empty at the end."""
        return self._files.submit(lambda _: self._file.read(most))

    def close(self) -> None:
        if not self._file.closed:
            self._file.close()
            self._closed()


class ImportJob:
    """The one import of a user's sessions, or of their API tokens: receives the file piece by piece, then writes it.

    The caller has to close it if it cannot be completed.
    """

    def __init__(self, transfer: "TransferService", caller: Caller, file: BinaryIO) -> None:
        self.progress = Progress()
        self._transfer = transfer
        self._caller = caller
        self._file = file

    def take(self, piece: bytes) -> Future[None]:
        """Append a piece of the file. Fails with Unavailable."""

        def write(_: object) -> None:
            with _on_disk():
                self._file.write(piece)
            self.progress.done += len(piece)

        return self._transfer.files.submit(write)

    def carry_in(self, *, format: Format, mode: Mode, prefix: str | None, dry_run: bool) -> Future[ImportReport]:
        """Import the complete file: see Importer. The file is closed afterwards, even if no caller waits.

        Without a `prefix` the import covers all keys that the caller may write. Raises Forbidden immediately.
        """
        own = self._caller.prefix
        if own is not None and prefix is not None and not prefix.startswith(own):
            raise Forbidden("This token is for keys with another prefix.")
        asked = ImportOptions(format, mode, (own or "") if prefix is None else prefix, own)
        future = self._transfer.carry_in(self._caller, self._file, asked, self.progress, dry_run=dry_run)
        future.then(lambda _: self.close())
        return future

    def belongs_to(self, caller: Caller) -> bool:
        """Return whether the caller's credential has sent this file."""
        return self._caller.session_id == caller.session_id

    def close(self) -> None:
        """Discard the file; the user may start another import."""
        self._file.close()
        self._transfer.forget(self._caller)


class TransferService:
    """Exports and imports, as the transport calls them on the event loop's thread."""

    def __init__(
        self,
        runtime: Runtime,
        store: Store,
        folder: Path,
        limit_log: LimitLog,
        rate: int | None = None,
        steady: Callable[[], int] = steady_ms,
    ) -> None:
        """`rate` is the rate of the transfer budget, in units a second; None for no limit."""
        self._store = store
        self._runtime = runtime
        self._folder = folder
        self._stopping = False
        self._limit_log = limit_log
        self._exports = Budget("exports", EXPORTS_OF_A_USER, "under way", "wait until one of them is complete")
        # by user: one import of their sessions, and one of their API tokens (True)
        self._imports: dict[tuple[int, bool], ImportJob] = {}

        self._budget = TransferBudget(rate, store.quota, steady)

        def workers(name: str) -> FairWorkerPool:
            return FairWorkerPool(
                runtime,
                name,
                threads=THREADS,
                resource=store.backend.open_reader,
                max_running=1,
                max_total=MAX_JOBS,
                user_share=None if rate is None else READER_SHARE,
                on_hold=self._record_hold,
                on_error=store.check_error,
            )

        # a large import delays no export, and neither delays data on its way to or from a client
        self._exporters, self._importers = workers("export"), workers("import")
        self.files = WorkerPool(runtime, 1, name="transfer")

    def stop(self) -> None:
        """Finish running jobs, and start no more."""
        self._stopping = True
        for workers in (self._exporters, self._importers, self.files):
            workers.stop()

    def _record_hold(self, client: Client) -> None:
        if isinstance(client.owner, Caller):
            self._limit_log.record("transfer_time", account=client.owner.user_id, credential=client.owner.session)

    def export(self, caller: Caller, format: ExportFormat, prefix: str) -> Future[ExportFile]:
        """Write the caller's entries under `prefix` to a file. Raises Forbidden, RateLimited, Unavailable at once."""
        prefix, user_id = permissions.narrowed(caller, prefix), caller.user_id
        if (over := self._exports.exceeded(caller)) is not None:
            raise self._limited(caller, over)
        if self._exports.total() >= MAX_JOBS:
            raise Unavailable("Too many exports are on their way; try again in a moment.", retry_after=5)
        self._check_budget(caller)
        self._exports.take(caller)

        def gone() -> None:
            self._exports.give_back(caller)

        def write(reader: BackendReader) -> ExportFile:
            self.settle(user_id)
            with _on_disk():
                file, now = self._new_file(), self._store.clock()
                made = exporter.write(reader, user_id, now, format=format, prefix=prefix, file=file)
                return ExportFile(made, file, self.files, gone)

        def written(made: Future[ExportFile]) -> None:
            if made.failed:
                gone()
            else:
                outgoing = made.result()
                self._budget.charge(_lane(caller), Cost(rows=outgoing.made.count, bytes=outgoing.bytes).units)

        future = self._exporters.submit(write, Client(user_id, caller.session_id, caller))
        future.then(written)
        return future

    def abandon(self, caller: Caller, asked: Future[ExportFile]) -> None:
        """Drop an export of `caller` (this very object) that is no longer wanted: it is not made, or thrown away."""
        self._exporters.abandon(Client(caller.user_id, caller.session_id, caller))
        asked.then(lambda made: None if made.failed else made.result().close())

    def begin_import(self, caller: Caller) -> ImportJob:
        """Reserve the caller's one import. Raises Forbidden, RateLimited, Unavailable."""
        if caller.scope != "write":
            raise Forbidden("This token may only read.", needs="write")
        lane = _lane(caller)
        if lane in self._imports:
            who = "an API token of this user" if caller.kind == "token" else "you"
            raise self._limited(
                caller, Exceeded("imports", f"Another import by {who} is under way; wait until it is complete.")
            )
        if len(self._imports) >= MAX_JOBS:
            raise Unavailable("Too many imports are under way; try again in a moment.", retry_after=30)
        self._check_budget(caller)
        incoming = self._imports[lane] = ImportJob(self, caller, self._new_file())
        return incoming

    def progress(self, caller: Caller) -> Progress | None:
        """Return the progress of the caller's import, if any: of all sessions of the user, or of this very token."""
        incoming = self._imports.get(_lane(caller))
        if incoming is None or (caller.kind == "token" and not incoming.belongs_to(caller)):
            return None
        return incoming.progress

    def carry_in(
        self, caller: Caller, file: BinaryIO, asked: ImportOptions, progress: Progress, *, dry_run: bool
    ) -> Future[ImportReport]:
        """Run the import of an Incoming."""

        def work(reader: BackendReader) -> ImportReport:
            with _on_disk(), self._new_file() as smaller, self._new_file() as larger:
                file.seek(0)
                importer = Importer(caller, asked, ImportPlan(smaller, larger), progress)
                return importer.run(reader, file, self, dry_run=dry_run)

        self._budget.charge(_lane(caller), Cost(bytes=progress.done).units)
        return self._importers.submit(work, Client(caller.user_id, caller.session_id, caller))

    def forget(self, caller: Caller) -> None:
        """Release the place of an Incoming."""
        self._imports.pop(_lane(caller), None)

    # methods for the jobs' threads

    @property
    def quota(self) -> Quota:
        return self._store.quota

    @property
    def value_bytes(self) -> int:
        return self._store.value_bytes

    @property
    def clock(self) -> Callable[[], int]:
        return self._store.clock

    def settle(self, user_id: int) -> None:
        """See Target."""
        self._wait(lambda: self._store.flush_user(user_id))

    def write(self, caller: Caller, ops: list[Op]) -> int:
        """See Target."""
        if self._stopping:
            raise Unavailable("The server is stopping; import the same file again in a moment.", retry_after=5)

        def ask() -> Future[CountResult]:
            size = sum(len(op.value) for op in ops if isinstance(op, Set))
            self._budget.charge(_lane(caller), Cost(ops=len(ops), bytes=size).units)
            return self._store.carry_in(caller, ops)

        return self._wait(ask).revision

    def _wait(self, ask: Callable[[], Future[T]]) -> T:
        """Call `ask` on the event loop's thread, as all callers of the store do, and wait for the answer."""
        answer: Future[T] = Future()

        def asked() -> None:
            try:
                answer.become(ask())
            except BaseException as error:  # passed to the waiting caller
                answer.fail(error)

        self._runtime.deliver(asked)
        return self._runtime.wait(answer, _WRITE_SECONDS)

    def _check_budget(self, caller: Caller) -> None:
        if seconds := self._budget.wait(_lane(caller)):
            raise self._limited(
                caller,
                Exceeded("transfer_volume", f"That was too much exported and imported at once; go on in {seconds} s."),
                seconds,
            )

    def _limited(self, caller: Caller, over: Exceeded, retry_after: int = 5) -> RateLimited:
        self._limit_log.record(over.limit, account=caller.user_id, credential=caller.session)
        return RateLimited(over.message, retry_after=retry_after)

    def _new_file(self) -> BinaryIO:
        return cast(BinaryIO, tempfile.SpooledTemporaryFile(_IN_MEMORY, dir=str(self._folder)))


def _lane(caller: Caller) -> tuple[int, bool]:
    return caller.user_id, caller.kind == "token"


@contextmanager
def _on_disk() -> Iterator[None]:
    try:
        yield
    except OSError:
        raise Unavailable("The server has no room for that now; try again later.", retry_after=60) from None
