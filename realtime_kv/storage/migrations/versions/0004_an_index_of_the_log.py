"""History index: the log row of each change to a key, which history reads use; filled in the background."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_table(
        "history",
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("row", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("user_id", "key", "revision"),
        sqlite_with_rowid=False,
    )
    op.create_index("history_by_revision", "history", ["user_id", "revision"])
