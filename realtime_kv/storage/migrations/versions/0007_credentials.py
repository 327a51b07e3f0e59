"""Receipts by permission, presentation of session tokens, wrong codes of the second step, invitations."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

# the separator of caller.py, as it was when this migration was written
_SEPARATOR = "char(31)"

# API tokens that may write only under a prefix: the only limited credentials that have receipts
_LIMITED = "SELECT id, user_id, public_id, created_at FROM sessions WHERE scope = 'write' AND prefix <> ''"


def upgrade() -> None:
    op.add_column("sessions", sa.Column("presented", sa.Text(), nullable=True))
    op.create_table(
        "second_step_failures",
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("network", sa.Text(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("last_at", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("user_id", "network"),
    )
    op.create_table(
        "invitations",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("note", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("created_at", sa.Integer(), nullable=False),
        sa.Column("created_by", sa.Integer(), nullable=True),
        sa.Column("expires_at", sa.Integer(), nullable=False),
        sa.Column("used_at", sa.Integer(), nullable=True),
        sa.Column("used_by", sa.Integer(), nullable=True),
        sa.Column("revoked_at", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("token_hash"),
    )
    if op.get_bind().execute(sa.text(f"SELECT EXISTS ({_LIMITED})")).scalar_one():
        _separate_receipts()


def _separate_receipts() -> None:
    """Prefix the `op_id` of every receipt of a limited token with the token's public id.

    The `origin` of the write in the log says who made a receipt. For a receipt without such a write (there was nothing
    to delete, or the history has been purged) the author is unknown: it stays unchanged, and each limited token that
    existed at the time gets a copy. A copy never reveals keys elsewhere: answers with a `count` are left out.
    """
    op.execute(f"CREATE TEMP TABLE limited AS {_LIMITED}")
    op.execute("""
        CREATE TEMP TABLE written AS
        SELECT id, user_id, op_id, json_extract(frame, '$.origin.session') AS session FROM log
        WHERE op_id IS NOT NULL AND user_id IN (SELECT user_id FROM limited)
            AND (id > coalesce((SELECT CAST(value AS INTEGER) FROM meta WHERE name = 'flushed'), 0)
                OR at >= (SELECT min(at) FROM receipts))
    """)
    op.execute("CREATE INDEX temp.written_by_op_id ON written (user_id, op_id)")
    op.execute(f"""
        INSERT INTO receipts (user_id, op_id, fingerprint, answer, at)
        SELECT r.user_id, l.public_id || {_SEPARATOR} || r.op_id, r.fingerprint, r.answer, r.at
        FROM receipts AS r JOIN limited AS l ON l.user_id = r.user_id
        WHERE r.at >= l.created_at
            AND coalesce(json_extract(r.answer, '$.count'), 0) = 0
            AND NOT EXISTS (SELECT 1 FROM written AS w WHERE w.user_id = r.user_id AND w.op_id = r.op_id)
    """)
    op.execute(f"""
        UPDATE receipts SET op_id = w.session || {_SEPARATOR} || w.op_id
        FROM written AS w WHERE w.user_id = receipts.user_id AND w.op_id = receipts.op_id
            AND w.session IN (SELECT public_id FROM limited)
    """)
    op.execute(f"""
        UPDATE log SET op_id = w.session || {_SEPARATOR} || w.op_id
        FROM written AS w WHERE w.id = log.id AND w.session IN (SELECT public_id FROM limited)
    """)
    op.execute("DROP TABLE temp.written")
    op.execute("DROP TABLE temp.limited")
