"""Index of the trash, without entries that are not in it."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.create_index("entries_in_trash", "entries", ["user_id", "key"], sqlite_where=sa.text("deleted_at IS NOT NULL"))
