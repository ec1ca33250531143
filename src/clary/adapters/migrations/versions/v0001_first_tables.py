"""Resources with the work queue, links, tags and the journal."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

# rows in all, then rows that share the first one, two, three ... columns of the index
_SHAPE = {
    "sqlite_autoindex_resource_1": "1000000 100000 100000 50000 3 1",
    "resource_created": "1000000 100000 100000 50000 1 1 1",
    "resource_modified": "1000000 100000 100000 50000 1 1 1",
    "resource_status": "1000000 100000 100000 50000 5000 1 1 1",
    "resource_parent": "500000 20 10 1 1 1",
    "resource_due": "1000 200 1",
    "resource_lease": "100 10",
}


def upgrade() -> None:
    """Make the tables."""
    _resource()
    _link()
    op.create_table(
        "tag",
        sa.Column("ref", sa.Text, primary_key=True),
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
    )
    _event()
    if op.get_bind().dialect.name == "sqlite":
        _tell_sqlite_the_shape()


def _serial() -> sa.types.TypeEngine[int]:
    return sa.BigInteger().with_variant(sa.Integer, "sqlite")


def _resource() -> None:
    op.create_table(
        "resource",
        sa.Column("kind", sa.Text, primary_key=True),
        sa.Column("account", sa.Text, primary_key=True),
        sa.Column("region", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("parent", sa.Text),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("modified_at", sa.BigInteger, nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("body", sa.JSON, nullable=False),
        sa.Column("due_at", sa.BigInteger),
        sa.Column("wakes", sa.Integer, nullable=False, server_default="0"),
        sa.Column("lease_owner", sa.Text),
    )
    for name, columns in {
        "created": ("created_at",),
        "modified": ("modified_at",),
        "status": ("status", "created_at"),
    }.items():
        op.create_index(
            f"resource_{name}",
            "resource",
            ["kind", "account", "region", *columns, "name", "version"],
        )
    for name, first, others in (
        ("parent", "parent", ["kind", "created_at", "name", "version"]),
        ("lease", "lease_owner", []),
    ):
        _partial_index(name, [first, *others], where=first)
    _partial_index("due", ["kind", "due_at"], where="due_at")


def _partial_index(name: str, columns: list[str], *, where: str) -> None:
    present = sa.text(f"{where} IS NOT NULL")
    op.create_index(
        f"resource_{name}",
        "resource",
        columns,
        sqlite_where=present,
        postgresql_where=present,
    )


def _link() -> None:
    op.create_table(
        "link",
        sa.Column("id", _serial(), primary_key=True),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("target", sa.Text, nullable=False),
        sa.Column("role", sa.Text, nullable=False),
        sa.UniqueConstraint("source", "target", "kind", "role", name="link_once"),
    )
    op.create_index("link_target", "link", ["target"])


def _event() -> None:
    op.create_table(
        "event",
        sa.Column("id", _serial(), primary_key=True),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("ref", sa.Text, nullable=False),
        sa.Column("detail", sa.JSON, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("event_ref", "event", ["ref", "id"])


def _tell_sqlite_the_shape() -> None:
    """Give SQLite's planner the shape of a big store; it guesses wrong, and never looks itself."""
    op.execute("ANALYZE")
    op.execute("DELETE FROM sqlite_stat1")
    shape = sa.table("sqlite_stat1", *map(sa.column, ("tbl", "idx", "stat")))
    op.bulk_insert(
        shape, [{"tbl": "resource", "idx": idx, "stat": stat} for idx, stat in _SHAPE.items()]
    )
