"""INSERT with ON CONFLICT, which SQLAlchemy offers for each dialect separately; SQLite's compiles PostgreSQL's too."""

from sqlalchemy.dialects.postgresql import insert

__all__ = ["insert"]
