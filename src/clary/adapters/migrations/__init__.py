"""How the metadata's tables came to be, a file per step; run by Alembic."""
