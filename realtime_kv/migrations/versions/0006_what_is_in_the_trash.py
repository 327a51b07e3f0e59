"""What is in the trash is found without looking at what is not."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.create_index("entries_in_trash", "entries", ["user_id", "key"], sqlite_where=sa.text("deleted_at IS NOT NULL"))
