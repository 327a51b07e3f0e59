"""The log carries the receipts of its writes, so that it says all that the other tables may still lack."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    for name in ("op_id", "fingerprint", "answer"):
        op.add_column("log", sa.Column(name, sa.Text(), nullable=True))
