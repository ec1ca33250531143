"""Statements that are compiled once and run on the driver's own cursor.

Single resources and the work queue are read and written all the time; there the way through
SQLAlchemy's execution costs several times what the database needs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, bindparam, case, delete, null, or_, select, update

from clary.adapters.sql_schema import EVENT, LINK, RESOURCE, TAG, ref_columns
from clary.adapters.sql_select import SELECT
from clary.kernel.journal import FOLLOWER

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sqlalchemy import ClauseElement, ColumnElement, Dialect, Table
    from sqlalchemy.engine.interfaces import DBAPICursor

    from clary.kernel.names import Ref

_C = RESOURCE.c
REF = ("kind", "account", "region", "name", "version")
_CHANGED = ("status", "parent", "body", "modified_at")
_INSERTED = (*REF, "created_at", "revision", *_CHANGED, "due_at")


@dataclass(frozen=True, slots=True)
class Direct:
    """One statement as the driver takes it; ``fixed`` are the values that it brings itself."""

    text: str
    fixed: Mapping[str, Any]

    def run(self, cursor: DBAPICursor, values: Mapping[str, Any]) -> DBAPICursor:
        """Execute it; returns the cursor, for its rows and their count."""
        cursor.execute(self.text, {**self.fixed, **values})
        return cursor


def direct(statement: ClauseElement, dialect: Dialect, columns: Sequence[str] = ()) -> Direct:
    """Compile a statement; ``columns`` are those that an INSERT or UPDATE is given values of."""
    style = "named" if dialect.paramstyle == "qmark" else dialect.paramstyle
    of = type(dialect)(paramstyle=style)  # type: ignore[call-arg]  # every dialect takes it
    compiled = statement.compile(dialect=of, column_keys=list(columns) or None)
    fixed = {name: value for name, value in compiled.params.items() if value is not None}
    return Direct(str(compiled), fixed)


def of_ref(ref: Ref) -> dict[str, Any]:
    """Give the values by which statements here name a resource."""
    return {f"of_{name}": value for name, value in ref_columns(ref).items()}


def _is(table: Table, *names: str) -> ColumnElement[bool]:
    return and_(*(table.c[name] == bindparam(f"of_{name}") for name in names))


CLAIMABLE = and_(
    _C.due_at <= bindparam("at"),
    or_(_C.lease_owner.is_(None), _C.lease_owner != bindparam("claimer")),
)
_UPDATE = (
    update(RESOURCE)
    .where(
        _is(RESOURCE, *REF),
        _C.revision == bindparam("read_revision"),
        _C.created_at == bindparam("read_created_at"),  # else another resource of the same name
    )
    .values(revision=_C.revision + 1)
)
_EVENTS = (
    select(EVENT)
    .where(EVENT.c.id > bindparam("after"))
    .order_by(EVENT.c.id)
    .limit(bindparam("most"))
)
_WAKE = (
    update(RESOURCE)
    .where(_is(RESOURCE, *REF))
    .values(
        wakes=_C.wakes + 1,
        due_at=case(
            (or_(_C.lease_owner.is_not(None), _C.due_at <= bindparam("woken_at")), _C.due_at),
            else_=bindparam("woken_at"),
        ),
    )
)
_CALL_FOLLOWERS = (
    update(RESOURCE)
    .where(_C.kind == FOLLOWER)
    .values(
        wakes=_C.wakes + 1,
        due_at=case((_C.due_at.is_(None), bindparam("call_at")), else_=_C.due_at),
    )
)
_CLAIM = (
    update(RESOURCE)
    .where(_is(RESOURCE, *REF), CLAIMABLE)
    .values(lease_owner=bindparam("claimer"), due_at=bindparam("lease_end"))
)
_RENEW = (
    update(RESOURCE)
    .where(_C.lease_owner == bindparam("holder"))
    .values(due_at=bindparam("lease_end"))
)
_RELEASE = (
    update(RESOURCE)
    .where(_is(RESOURCE, *REF), _C.lease_owner == bindparam("holder"))
    .values(
        lease_owner=null(),
        due_at=case(
            (_C.wakes != bindparam("claimed_wakes"), bindparam("released_at")),
            else_=bindparam("next_due_at"),
        ),
    )
)


class Statements:
    """Every such statement, in one dialect.

    Parameters
    ----------
    dialect
        The database's.
    insert
        Its INSERT that knows ON CONFLICT.
    """

    def __init__(self, dialect: Dialect, insert: Callable[[Table], Any]) -> None:
        tag = insert(TAG)
        put_tag = tag.on_conflict_do_update(
            index_elements=["ref", "key"], set_={"value": tag.excluded.value}
        )
        edge = ("source", "kind", "target", "role")
        self.get = direct(SELECT.where(_is(RESOURCE, *REF)), dialect)
        self.insert = direct(insert(RESOURCE).on_conflict_do_nothing(), dialect, _INSERTED)
        self.update = direct(_UPDATE, dialect, _CHANGED)
        self.delete = direct(delete(RESOURCE).where(_is(RESOURCE, *REF)), dialect)
        self.link = direct(insert(LINK).on_conflict_do_nothing(), dialect, edge)
        self.unlink = direct(delete(LINK).where(_is(LINK, *edge)), dialect)
        self.put_tag = direct(put_tag, dialect, ("ref", "key", "value"))
        self.delete_tag = direct(delete(TAG).where(_is(TAG, "ref", "key")), dialect)
        self.delete_tags = direct(delete(TAG).where(_is(TAG, "ref")), dialect)
        self.append = direct(insert(EVENT), dialect, ("at", "actor", "action", "ref", "detail"))
        self.events = direct(_EVENTS, dialect)
        self.wake = direct(_WAKE, dialect)
        self.call_followers = direct(_CALL_FOLLOWERS, dialect)
        self.claim = direct(_CLAIM, dialect)
        self.claimed = direct(SELECT.add_columns(_C.wakes).where(_is(RESOURCE, *REF)), dialect)
        self.renew = direct(_RENEW, dialect)
        self.release = direct(_RELEASE, dialect)
