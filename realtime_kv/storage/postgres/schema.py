"""Tables on PostgreSQL: the account tables are the models', the store's tables are declared here.

They differ from SQLite's: the log has a user's revision as its key, and no receipts; the history index has no rows of
the log; nothing but `spaces` refers to users, since a check of a foreign key costs more than the row.
"""

import secrets

from sqlalchemy import Connection, Table

from realtime_kv.storage import meta
from realtime_kv.storage.models import Base
from realtime_kv.storage.postgres import connections

# declared below, or not needed
OWN_TABLES = frozenset({"spaces", "entries", "log", "history", "log_garbage", "receipts"})

STORE_TABLES = """
-- a group updates the rows of its users: most of a page stays free, so that the new version fits beside the old one
CREATE TABLE spaces (
    user_id bigint PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    revision bigint NOT NULL DEFAULT 0,
    -- changes with everything that others do to the user besides writing
    guard bigint NOT NULL DEFAULT 0,
    floor bigint NOT NULL DEFAULT 0,
    history_floor bigint NOT NULL DEFAULT 0,
    keys bigint NOT NULL DEFAULT 0,
    bytes bigint NOT NULL DEFAULT 0,
    digest bigint NOT NULL DEFAULT 0,
    trimmed bigint NOT NULL DEFAULT 0,
    history_bytes bigint NOT NULL DEFAULT 0,
    receipt_bytes bigint NOT NULL DEFAULT 0,
    trash_bytes bigint NOT NULL DEFAULT 0,
    -- the revision up to which the history index has everything
    indexed bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 10, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000,
    autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 100000);

-- no index by revision: with one, every update would write to all indexes
CREATE TABLE entries (
    user_id bigint NOT NULL,
    key text COLLATE "C" NOT NULL,
    value text NOT NULL,
    revision bigint NOT NULL,
    created_revision bigint NOT NULL,
    version bigint NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    expires_at bigint,
    deleted_at bigint,
    origin text NOT NULL,
    PRIMARY KEY (user_id, key)
) WITH (fillfactor = 70);
CREATE INDEX entries_in_trash ON entries (user_id, key) WHERE deleted_at IS NOT NULL;
CREATE INDEX entries_by_expiry ON entries (expires_at) WHERE expires_at IS NOT NULL AND deleted_at IS NULL;

-- `keys`: the keys of the frame's ops, separated by U+001F, which no key contains: SQL need not parse the frame
CREATE TABLE log (
    user_id bigint NOT NULL,
    revision bigint NOT NULL,
    at bigint NOT NULL,
    charge bigint NOT NULL,
    keys text COLLATE "C" NOT NULL,
    frame text NOT NULL,
    PRIMARY KEY (user_id, revision)
);

CREATE TABLE history (
    user_id bigint NOT NULL,
    key text COLLATE "C" NOT NULL,
    revision bigint NOT NULL,
    bytes bigint NOT NULL,
    PRIMARY KEY (user_id, key, revision)
);
CREATE INDEX history_by_revision ON history (user_id, revision);

CREATE TABLE log_garbage (
    user_id bigint NOT NULL,
    revision bigint NOT NULL,
    total bigint NOT NULL,
    dead bigint NOT NULL,
    PRIMARY KEY (user_id, revision)
);

CREATE TABLE receipts (
    user_id bigint NOT NULL,
    op_id text COLLATE "C" NOT NULL,
    fingerprint text NOT NULL,
    answer text NOT NULL,
    at bigint NOT NULL,
    PRIMARY KEY (user_id, op_id)
);
"""

TRIGGERS = """
CREATE FUNCTION audit_is_only_appended_to() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit log is only ever appended to';
END $$;
CREATE TRIGGER audit_is_not_changed BEFORE UPDATE ON audit
    FOR EACH ROW EXECUTE FUNCTION audit_is_only_appended_to();
CREATE TRIGGER audit_is_not_truncated BEFORE TRUNCATE ON audit
    FOR EACH STATEMENT EXECUTE FUNCTION audit_is_only_appended_to();
-- entries older than the horizon set by the purge may be deleted, and those about a purged user
CREATE FUNCTION audit_is_not_shortened() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.at >= coalesce((SELECT value::bigint FROM meta WHERE name = 'audit_horizon'), 0)
        AND (OLD.user_id IS NULL OR EXISTS (SELECT 1 FROM users WHERE id = OLD.user_id))
    THEN
        RAISE EXCEPTION 'the audit log is only ever appended to';
    END IF;
    RETURN OLD;
END $$;
CREATE TRIGGER audit_is_not_shortened BEFORE DELETE ON audit
    FOR EACH ROW EXECUTE FUNCTION audit_is_not_shortened();

-- for all sessions of a statement at once, in order of the users: groups of writes lock the spaces in that order, so
-- no two transactions wait for each other
CREATE FUNCTION sessions_raise_guards() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    WITH locked AS MATERIALIZED (
        SELECT user_id FROM spaces WHERE user_id IN (
            SELECT n.user_id FROM new_rows AS n JOIN old_rows AS o ON o.id = n.id
            WHERE n.ended_at IS DISTINCT FROM o.ended_at OR n.expires_at < o.expires_at
        ) ORDER BY user_id FOR NO KEY UPDATE
    )
    UPDATE spaces SET guard = guard + 1 FROM locked WHERE spaces.user_id = locked.user_id;
    RETURN NULL;
END $$;
CREATE TRIGGER sessions_raise_guards AFTER UPDATE ON sessions
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION sessions_raise_guards();

CREATE FUNCTION user_raises_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE spaces SET guard = guard + 1 WHERE user_id = NEW.id;
    RETURN NULL;
END $$;
CREATE TRIGGER user_raises_guard
    AFTER UPDATE OF disabled_at, deleted_at, deleted_by, quota_keys, quota_bytes ON users
    FOR EACH ROW EXECUTE FUNCTION user_raises_guard();
"""


def create(connection: Connection) -> None:
    """Create all tables in an empty database."""
    shared: list[Table] = [table for name, table in Base.metadata.tables.items() if name not in OWN_TABLES]
    Base.metadata.create_all(connection, tables=shared)
    db = connections.driver(connection)
    # without parameters: all statements of a text at once
    db.execute(STORE_TABLES)
    db.execute(TRIGGERS)
    meta.write(connection, "epoch", secrets.token_urlsafe(9))
