"""Sessions with an idle timeout, API tokens, recovery, the second step, soft deletion of users, user quotas, audit."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    for column in (
        sa.Column("deleted_at", sa.Integer(), nullable=True),
        sa.Column("deleted_by", sa.Text(), nullable=True),
        sa.Column("password_changed_at", sa.Integer(), nullable=True),
        sa.Column("must_change_password", sa.Boolean(), server_default=sa.text("0"), nullable=False),
        sa.Column("email", sa.Text(), nullable=True),
        sa.Column("totp_secret", sa.Text(), nullable=True),
        sa.Column("totp_confirmed_at", sa.Integer(), nullable=True),
        sa.Column("totp_step", sa.Integer(), nullable=True),
        sa.Column("recovered_at", sa.Integer(), nullable=True),
        sa.Column("recovered_how", sa.Text(), nullable=True),
        sa.Column("quota_keys", sa.Integer(), nullable=True),
        sa.Column("quota_bytes", sa.Integer(), nullable=True),
    ):
        op.add_column("users", column)
    for column in (
        sa.Column("kind", sa.Text(), server_default="session", nullable=False),
        sa.Column("scope", sa.Text(), server_default="write", nullable=False),
        sa.Column("prefix", sa.Text(), nullable=True),
        sa.Column("idle", sa.Integer(), nullable=True),
        sa.Column("limit_at", sa.Integer(), nullable=True),
        sa.Column("last_seen_at", sa.Integer(), nullable=True),
        sa.Column("address", sa.Text(), server_default=sa.text("''"), nullable=False),
    ):
        op.add_column("sessions", column)
    op.add_column("spaces", sa.Column("history_floor", sa.Integer(), server_default=sa.text("0"), nullable=False))
    op.create_table(
        "links",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=True),
        sa.Column("created_at", sa.Integer(), nullable=False),
        sa.Column("expires_at", sa.Integer(), nullable=False),
        sa.Column("used_at", sa.Integer(), nullable=True),
        sa.Column("tries", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("token_hash"),
    )
    op.create_index("ix_links_user_id", "links", ["user_id"], unique=False)
    op.create_table(
        "recovery_codes",
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("code_hash", sa.LargeBinary(), nullable=False),
        sa.Column("used_at", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("user_id", "code_hash"),
    )
    op.create_table(
        "audit",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("at", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=True),
        sa.Column("actor_id", sa.Integer(), nullable=True),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("ok", sa.Boolean(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("audit_by_user", "audit", ["user_id", "id"], unique=False)
    op.execute("""
        CREATE TRIGGER audit_is_not_changed BEFORE UPDATE ON audit
        BEGIN SELECT raise(ABORT, 'the audit log is only ever appended to'); END
    """)
    # entries older than the horizon set by the purge may be deleted, and those about a purged user
    op.execute("""
        CREATE TRIGGER audit_is_not_shortened BEFORE DELETE ON audit
        WHEN OLD.at >= coalesce((SELECT CAST(value AS INTEGER) FROM meta WHERE name = 'audit_horizon'), 0)
            AND (OLD.user_id IS NULL OR EXISTS (SELECT 1 FROM users WHERE id = OLD.user_id))
        BEGIN SELECT raise(ABORT, 'the audit log is only ever appended to'); END
    """)
