"""INSERT with ON CONFLICT, which SQLAlchemy offers for each dialect separately."""

from sqlalchemy.dialects.sqlite import insert

__all__ = ["insert"]
