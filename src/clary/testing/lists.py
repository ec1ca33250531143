"""What lists of a ``MetadataStore`` promise; a part of its suite."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clary.kernel.errors import InvalidInput
from clary.kernel.names import Ref
from clary.kernel.paging import decode_token, encode_token
from clary.kernel.resource import Query
from clary.testing.stored import (
    a_kind,
    a_ref,
    a_resource,
    listed,
    matches,
    of_kind,
    pages,
    queries,
    resource_lists,
    sort_value,
)

if TYPE_CHECKING:
    import random

    from clary.kernel.ports import MetadataStore
    from clary.kernel.resource import Resource

_SHARED = settings(
    deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


class ListContract:
    """The suite; its user gives it the fixture ``store``."""

    @_SHARED
    @given(resources=resource_lists, query=queries)
    def test_lists_show_what_they_ask_for(
        self, store: MetadataStore, resources: list[Resource], query: Query
    ) -> None:
        query = replace(query, kind=a_kind())
        resources = [of_kind(resource, query.kind) for resource in resources]
        insert_all(store, resources)
        found = list(pages(store, query))
        items = [resource for page in found for resource in page]
        wanted = [resource for resource in resources if matches(resource, query)]
        assert sorted(items, key=by_ref) == sorted(wanted, key=by_ref)
        values = [sort_value(resource, query) for resource in items]
        assert values == sorted(values, reverse=query.descending)
        assert [len(page) for page in found[:-1]] == [query.limit] * (len(found) - 1)
        assert found[-1] or len(found) == 1

    @_SHARED
    @given(before=resource_lists, after=resource_lists, query=queries, randoms=st.randoms())
    def test_changes_between_pages_disturb_nothing_else(
        self,
        store: MetadataStore,
        before: list[Resource],
        after: list[Resource],
        query: Query,
        randoms: random.Random,
    ) -> None:
        query = Query(a_kind(), sort_by=query.sort_by, descending=query.descending, limit=3)
        before = [of_kind(resource, query.kind) for resource in before]
        known = {resource.ref for resource in before}
        later = [of_kind(resource, query.kind) for resource in after]
        later = [resource for resource in later if resource.ref not in known]
        insert_all(store, before)
        doomed = randoms.sample(before, len(before) // 3)
        seen = []
        for page in pages(store, query):
            seen += [resource.ref for resource in page]
            insert_all(store, [later.pop() for _ in range(min(2, len(later)))])
            if doomed:
                with store.begin() as transaction:
                    transaction.delete(doomed.pop().ref)
        assert len(seen) == len(set(seen))
        gone = {resource.ref for resource in before if store.get(resource.ref) is None}
        assert known - gone <= set(seen)

    @pytest.mark.parametrize("sort_by", ["created", "modified", "name", "status", "version"])
    @pytest.mark.parametrize("descending", [False, True])
    def test_ties_are_broken_by_the_whole_name(
        self, store: MetadataStore, sort_by: Any, *, descending: bool
    ) -> None:
        one = a_resource()
        names = itertools.product("12", "rs", ["k"], "ab", (1, 2))
        twins = [replace(one, ref=Ref(*name)) for name in names]
        insert_all(store, twins)
        query = Query("k", sort_by=sort_by, descending=descending, limit=1)
        assert sorted(listed(store, query), key=by_ref) == sorted(twins, key=by_ref)

    def test_a_token_is_good_for_its_own_list_only(self, store: MetadataStore) -> None:
        kind = a_kind()
        insert_all(store, [a_resource(a_ref(kind=kind)) for _ in range(3)])
        query = Query(kind, limit=1)
        token = store.select(query).token
        assert store.select(replace(query, token=token, limit=2)).items
        for other in (
            replace(query, kind=a_kind()),
            replace(query, sort_by="name"),
            replace(query, descending=False),
            replace(query, account="111111111111"),
            replace(query, name_contains="t"),
        ):
            with pytest.raises(InvalidInput, match="NextToken"):
                store.select(replace(other, token=token))

    @_SHARED
    @given(
        forged=st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
            st.lists,
            max_leaves=4,
        ),
        text=st.text(min_size=1),
    )
    def test_a_made_up_token_is_refused(self, store: MetadataStore, forged: Any, text: str) -> None:
        query = Query(a_kind(), limit=1)
        insert_all(store, [a_resource(a_ref(kind=query.kind)) for _ in range(2)])
        start, *_ = decode_token(store.select(query).token)
        for token in (
            text,
            encode_token(str(forged)),
            encode_token([start, forged]),
            encode_token([start, forged, "account", "region", "name", 1, 2]),
            encode_token([start, 2**63, "account", "region", "name", 1]),
            encode_token([start, True, "account", "region", "name", 1]),
        ):
            with pytest.raises(InvalidInput, match="NextToken"):
                store.select(replace(query, token=token))

    @pytest.mark.parametrize("limit", [-1, 0, 10_001])
    def test_a_page_has_bounds(self, store: MetadataStore, limit: int) -> None:
        with pytest.raises(InvalidInput, match=str(limit)):
            store.select(Query("thing", limit=limit))


def insert_all(store: MetadataStore, resources: list[Resource]) -> None:
    """Store resources in one transaction."""
    with store.begin() as transaction:
        for resource in resources:
            transaction.insert(resource)


def by_ref(resource: Resource) -> Ref:
    """Sort resources by name."""
    return resource.ref
