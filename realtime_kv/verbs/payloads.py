"""Payloads of the verbs: their fields, and the store method that each one calls (protocol §2).

Unknown fields are refused, so that a misspelt option is never silently ignored. An optional field is left out, not
`null` (except `ttl`, where `null` means never).
"""

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from realtime_kv.caller import Caller
from realtime_kv.concurrency.runtime import Future
from realtime_kv.core.domain.operations import Op
from realtime_kv.core.store import BATCH_OPS, Store, check_batch_size
from realtime_kv.core.validation import KEY_BYTES, SAFE_INTEGER, TTL_SECONDS
from realtime_kv.errors import BadRequest, Refusal

Revision = Annotated[int, Meta(ge=0, le=SAFE_INTEGER)]
OpId = Annotated[str, Meta(min_length=1, max_length=64, extra_json_schema={"pattern": "^[ -~]*$"})]

# The store checks these limits itself, with its own errors; here they are for the OpenAPI document only. JSON Schema
# counts characters where the store counts bytes.
_NO_CONTROL_CHARACTER = "^[^\\u0000-\\u001f\\u007f]*$"
Key = Annotated[
    str,
    Meta(extra_json_schema={"minLength": 1, "maxLength": KEY_BYTES, "pattern": _NO_CONTROL_CHARACTER}),
]
Prefix = Annotated[str, Meta(extra_json_schema={"maxLength": KEY_BYTES, "pattern": _NO_CONTROL_CHARACTER})]
Ttl = Annotated[float, Meta(extra_json_schema={"exclusiveMinimum": 0, "maximum": TTL_SECONDS})]
Value = Annotated[Raw, Meta(extra_json_schema={"$ref": "#/components/schemas/Value"})]


class Payload(Struct, forbid_unknown_fields=True, kw_only=True):
    """The fields of a request. An absent field is UNSET."""

    @property
    def weight(self) -> int:
        """The number of verbs that this request counts as."""
        return 1

    def call(self, store: Store, caller: Caller) -> Future[Any]:
        """Call the store. Raises errors in the request itself immediately; later errors come with the future."""
        raise NotImplementedError


class Get(Payload):
    key: Key

    def call(self, store: Store, caller: Caller) -> Future[Any]:
        return store.get(caller, self.key)


class Set(Payload):
    key: Key
    value: Value
    if_revision: Revision | UnsetType = UNSET
    ttl: Ttl | UnsetType | None = UNSET
    op_id: OpId | UnsetType = UNSET

    def call(self, store: Store, caller: Caller) -> Future[Any]:
        if_revision, op_id = self.if_revision, self.op_id
        return store.set(
            caller,
            self.key,
            bytes(self.value),
            if_revision=None if if_revision is UNSET else if_revision,
            ttl=self.ttl,
            op_id=None if op_id is UNSET else op_id,
        )


class Delete(Payload):
    key: Key
    if_revision: Revision | UnsetType = UNSET
    op_id: OpId | UnsetType = UNSET

    def call(self, store: Store, caller: Caller) -> Future[Any]:
        return store.delete(caller, self.key, if_revision=_given(self.if_revision), op_id=_given(self.op_id))


class List(Payload):
    prefix: str = ""
    after: str | UnsetType = UNSET
    limit: Annotated[int, Meta(ge=1, le=1000)] = 100
    values: bool = True

    def call(self, store: Store, caller: Caller) -> Future[Any]:
        return store.list(caller, prefix=self.prefix, after=_given(self.after), limit=self.limit, values=self.values)


class BatchSet(Payload, tag_field="op", tag="set"):
    key: Key
    value: Value
    if_revision: Revision | UnsetType = UNSET
    ttl: Ttl | UnsetType | None = UNSET

    def op(self, store: Store) -> Op:
        return store.set_op(self.key, bytes(self.value), _given(self.if_revision), self.ttl)


class BatchDelete(Payload, tag_field="op", tag="delete"):
    key: Key
    if_revision: Revision | UnsetType = UNSET

    def op(self, store: Store) -> Op:
        return store.delete_op(self.key, _given(self.if_revision))


class Batch(Payload):
    ops: Annotated[list[BatchSet | BatchDelete], Meta(extra_json_schema={"minItems": 1, "maxItems": BATCH_OPS})]
    op_id: OpId | UnsetType = UNSET

    @property
    def weight(self) -> int:
        return max(1, min(len(self.ops), BATCH_OPS))

    def call(self, store: Store, caller: Caller) -> Future[Any]:
        # the count first: a batch that is too long is not worth checking value by value
        check_batch_size(len(self.ops))
        ops = [_op(index, op, store) for index, op in enumerate(self.ops)]
        return store.batch(caller, ops, op_id=_given(self.op_id))


class Restore(Payload):
    key: Key
    revision: Revision | UnsetType = UNSET
    if_revision: Revision | UnsetType = UNSET
    op_id: OpId | UnsetType = UNSET

    def call(self, store: Store, caller: Caller) -> Future[Any]:
        return store.restore(
            caller,
            self.key,
            revision=_given(self.revision),
            if_revision=_given(self.if_revision),
            op_id=_given(self.op_id),
        )


class Undo(Payload):
    revision: Revision
    dry_run: bool = False
    op_id: OpId | UnsetType = UNSET

    def call(self, store: Store, caller: Caller) -> Future[Any]:
        return store.undo(caller, self.revision, dry_run=self.dry_run, op_id=_given(self.op_id))


class History(Payload):
    key: Key | UnsetType = UNSET
    before: Revision | UnsetType = UNSET
    limit: Annotated[int, Meta(ge=1, le=1000)] = 100

    def call(self, store: Store, caller: Caller) -> Future[Any]:
        return store.history(caller, key=_given(self.key), before=_given(self.before), limit=self.limit)


class Trash(Payload):
    prefix: str = ""
    after: str | UnsetType = UNSET
    limit: Annotated[int, Meta(ge=1, le=1000)] = 100

    def call(self, store: Store, caller: Caller) -> Future[Any]:
        return store.trash(caller, prefix=self.prefix, after=_given(self.after), limit=self.limit)


class DeletePrefix(Payload):
    prefix: Prefix
    dry_run: bool = False
    op_id: OpId | UnsetType = UNSET

    @property
    def weight(self) -> int:
        return BATCH_OPS

    def call(self, store: Store, caller: Caller) -> Future[Any]:
        return store.delete_prefix(caller, self.prefix, dry_run=self.dry_run, op_id=_given(self.op_id))


class Move(Payload):
    from_: Key = msgspec.field(name="from")
    to: Key
    dry_run: bool = False
    op_id: OpId | UnsetType = UNSET

    @property
    def weight(self) -> int:
        return BATCH_OPS if self.from_.endswith("/") else 2

    def call(self, store: Store, caller: Caller) -> Future[Any]:
        return store.move(caller, self.from_, self.to, dry_run=self.dry_run, op_id=_given(self.op_id))


class Copy(Move):
    def call(self, store: Store, caller: Caller) -> Future[Any]:
        return store.copy(caller, self.from_, self.to, dry_run=self.dry_run, op_id=_given(self.op_id))


class Sync(Payload):
    epoch: str | UnsetType = UNSET
    since: Revision | UnsetType = UNSET
    next: str | UnsetType = UNSET

    def call(self, store: Store, caller: Caller) -> Future[Any]:
        if self.next is not UNSET and (self.epoch is not UNSET or self.since is not UNSET):
            raise BadRequest("A sync has either `next`, or `epoch` and `since`.", field="next")
        return store.sync(caller, epoch=_given(self.epoch), since=_given(self.since), next=_given(self.next))


class Stream(Struct, forbid_unknown_fields=True, kw_only=True):
    """Parameters of `GET /api/v1/stream`; not a verb, because its answer does not end."""

    epoch: str | UnsetType = UNSET
    since: Revision | UnsetType = UNSET
    prefix: str = ""

    @property
    def position(self) -> tuple[str | None, int | None]:
        return _given(self.epoch), _given(self.since)


def _op(index: int, op: BatchSet | BatchDelete, store: Store) -> Op:
    try:
        return op.op(store)
    except Refusal as refusal:
        refusal.extra["index"] = index
        raise


def _given(value: Any) -> Any:
    return None if value is UNSET else value
