"""Made-up resources and queries, with a naive reading of what a query asks for."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from clary.kernel.clock import now
from clary.kernel.names import Ref
from clary.kernel.resource import Event, Query, Resource

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from clary.kernel.ports import MetadataStore

_NUMBERS = itertools.count()
_START = datetime(2026, 1, 1, tzinfo=UTC)
_ACCOUNTS = ("111111111111", "222222222222")
_REGIONS = ("eu-west-1", "us-east-1")
_STATUSES = ("", "Completed", "InProgress")
_MODELS = ("a", "b%", "ü'\"")
_NAMES = st.sampled_from(["a", "A", "ab", "b%", "_"]) | st.text(
    alphabet="aAbB%_\\-0/é", min_size=1, max_size=4
)
_MOMENTS = st.integers(0, 3).map(lambda hours: _START + timedelta(hours=hours, microseconds=hours))


def a_ref(name: str = "", *, kind: str = "thing", version: int = 0) -> Ref:
    """Name a resource; without a name, one that nothing else has."""
    return Ref(_ACCOUNTS[0], _REGIONS[0], kind, name or f"thing-{next(_NUMBERS)}", version)


def a_resource(ref: Ref | None = None, **members: Any) -> Resource:
    """Make a resource up; ``members`` are further fields of ``Resource``."""
    moment = now()
    return Resource(
        ref or a_ref(), **{"body": {}, "created_at": moment, "modified_at": moment, **members}
    )


def an_event(ref: Ref, **detail: Any) -> Event:
    """Make a line of the journal up."""
    return Event(now(), "tester", f"{ref.kind}.changed", ref, detail)


def a_kind() -> str:
    """Name a kind that nothing else has."""
    return f"kind-{next(_NUMBERS)}"


_REFS = st.builds(
    Ref,
    st.sampled_from(_ACCOUNTS),
    st.sampled_from(_REGIONS),
    st.just("kind"),
    _NAMES,
    st.integers(0, 2),
)
_PARENTS = st.sampled_from([None, a_ref("p"), a_ref("p:q", version=1)])
_RESOURCES = st.builds(
    Resource,
    ref=_REFS,
    body=st.fixed_dictionaries(
        {"Model": st.sampled_from(_MODELS)},
        optional={"request": st.builds(dict, Inner=st.sampled_from(_MODELS))},
    ),
    created_at=_MOMENTS,
    modified_at=_MOMENTS,
    status=st.sampled_from(_STATUSES),
    parent=_PARENTS,
)
resource_lists = st.lists(_RESOURCES, max_size=25, unique_by=lambda resource: resource.ref)
"""Resources of one kind with many equal values, as ties are what lists get wrong."""

_SOMETIMES = st.none() | _MOMENTS
queries = st.builds(
    Query,
    kind=st.just("kind"),
    account=st.sampled_from([None, *_ACCOUNTS]),
    region=st.sampled_from([None, *_REGIONS]),
    parent=_PARENTS,
    statuses=st.lists(st.sampled_from(_STATUSES), max_size=2),
    name_contains=st.just("") | _NAMES,
    name_prefix=st.just("") | _NAMES,
    name=st.just("") | _NAMES,
    created_after=_SOMETIMES,
    created_before=_SOMETIMES,
    modified_after=_SOMETIMES,
    modified_before=_SOMETIMES,
    where=st.dictionaries(
        st.sampled_from(["Model", "request.Inner"]), st.sampled_from(_MODELS), max_size=1
    ),
    sort_by=st.sampled_from(["created", "modified", "name", "status", "version"]),
    descending=st.booleans(),
    limit=st.integers(1, 7),
)


def of_kind(resource: Resource, kind: str) -> Resource:
    """Give a resource another kind."""
    return replace(resource, ref=replace(resource.ref, kind=kind))


def matches(resource: Resource, query: Query) -> bool:
    """Say whether a list shows a resource, member by member."""
    ref = resource.ref
    return all(
        (
            ref.kind == query.kind,
            query.account in {None, ref.account},
            query.region in {None, ref.region},
            query.parent in {None, resource.parent},
            not query.statuses or resource.status in query.statuses,
            query.name_contains.lower() in ref.name.lower(),
            ref.name.startswith(query.name_prefix),
            query.name in {"", ref.name},
            query.created_after is None or resource.created_at > query.created_after,
            query.created_before is None or resource.created_at < query.created_before,
            query.modified_after is None or resource.modified_at > query.modified_after,
            query.modified_before is None or resource.modified_at < query.modified_before,
            all(_member(resource.body, path) == text for path, text in query.where.items()),
        )
    )


def sort_value(resource: Resource, query: Query) -> Any:
    """Say what a list is sorted by."""
    return {
        "created": resource.created_at,
        "modified": resource.modified_at,
        "name": resource.ref.name,
        "status": resource.status,
        "version": resource.ref.version,
    }[query.sort_by]


def pages(store: MetadataStore, query: Query) -> Iterator[Sequence[Resource]]:
    """Read a list to its end."""
    while True:
        page = store.select(query)
        yield page.items
        if not page.token:
            return
        query = replace(query, token=page.token)


def listed(store: MetadataStore, query: Query) -> list[Resource]:
    """Read a list to its end, as one."""
    return [resource for page in pages(store, query) for resource in page]


def _member(body: Any, path: str) -> Any:
    for name in path.split("."):
        body = body.get(name) if isinstance(body, dict) else None
    return body
