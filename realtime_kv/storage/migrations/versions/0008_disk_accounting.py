"""Disk accounting: `spaces` counts the bytes of a user's history, receipts and trash as they are written and removed.

`log.charge` is the size counted for a row (NULL: written before, the length of its frame and a constant),
`history.bytes` the length of an op, `log_garbage` the rows that hold ops which are no longer in the history.
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

# the constants are those of core/domain/charges.py as they were at this migration
_FILL = """
UPDATE spaces SET
    history_bytes = coalesce(h.bytes, 0), receipt_bytes = coalesce(r.bytes, 0), trash_bytes = coalesce(t.bytes, 0)
FROM spaces AS s
LEFT JOIN (
    SELECT l.user_id, sum(length(CAST(l.frame AS BLOB)) + 128) AS bytes FROM log AS l
    JOIN spaces AS p ON p.user_id = l.user_id WHERE l.revision <= p.revision GROUP BY l.user_id
) AS h ON h.user_id = s.user_id
LEFT JOIN (
    SELECT user_id, sum(2 * length(op_id) + length(fingerprint) + length(answer) + 64) AS bytes
    FROM receipts GROUP BY user_id
) AS r ON r.user_id = s.user_id
LEFT JOIN (
    SELECT user_id, sum(length(CAST(key AS BLOB)) + length(CAST(value AS BLOB)) + 128) AS bytes
    FROM entries WHERE deleted_at IS NOT NULL GROUP BY user_id
) AS t ON t.user_id = s.user_id
WHERE spaces.user_id = s.user_id
"""


def upgrade() -> None:
    for name in ("trimmed", "history_bytes", "receipt_bytes", "trash_bytes"):
        op.add_column("spaces", sa.Column(name, sa.Integer(), nullable=False, server_default=sa.text("0")))
    op.add_column("log", sa.Column("charge", sa.Integer(), nullable=True))
    op.add_column("history", sa.Column("bytes", sa.Integer(), nullable=True))
    op.create_table(
        "log_garbage",
        sa.Column("row", sa.Integer(), primary_key=True),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("dead", sa.Integer(), nullable=False),
    )
    op.execute(_FILL)
