"""Audit log: the server itself is the actor `system`, which was called `house` before."""

from alembic import op

revision = "0009"
down_revision = "0008"

_TRIGGER = """
CREATE TRIGGER audit_is_not_changed BEFORE UPDATE ON audit
BEGIN SELECT raise(ABORT, 'the audit log is only ever appended to'); END
"""


def upgrade() -> None:
    op.execute("DROP TRIGGER audit_is_not_changed")
    op.execute("UPDATE audit SET actor = 'system' WHERE actor = 'house'")
    op.execute(_TRIGGER)
