"""Index of expiry times, without entries that never expire."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_index(
        "entries_by_expiry",
        "entries",
        ["expires_at"],
        sqlite_where=sa.text("expires_at IS NOT NULL AND deleted_at IS NULL"),
    )
