"""The database: its models, migrations and statements."""
