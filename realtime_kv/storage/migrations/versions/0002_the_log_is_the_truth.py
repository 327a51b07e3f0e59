"""Store every write in the log as it was sent to tabs, with its receipt, since the other tables may lag behind."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_AT = "strftime('%Y-%m-%dT%H:%M:%S', at / 1000, 'unixepoch') || printf('.%03dZ', at % 1000)"


def upgrade() -> None:
    op.rename_table("log", "old_log")
    op.create_table(
        "log",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("at", sa.Integer(), nullable=False),
        sa.Column("frame", sa.Text(), nullable=False),
        sa.Column("op_id", sa.Text(), nullable=True),
        sa.Column("fingerprint", sa.Text(), nullable=True),
        sa.Column("answer", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.execute(f"""
        INSERT INTO log (user_id, revision, at, frame)
        SELECT user_id, revision, at, '{{"revision":' || revision || ',"at":"' || {_AT} || '","origin":' || origin
            || ',"ops":[' || group_concat(op, ',') || ']}}'
        FROM (
            SELECT user_id, revision, at, origin, CASE WHEN value IS NULL
                THEN '{{"op":"delete","key":' || json_quote(key) || '}}'
                ELSE '{{"op":"set","key":' || json_quote(key) || ',"value":' || value || ',"version":' || version
                    || '}}' END AS op
            FROM old_log ORDER BY user_id, revision, position
        )
        GROUP BY user_id, revision
    """)
    op.drop_table("old_log")
