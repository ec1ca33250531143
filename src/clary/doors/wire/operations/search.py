"""Search over what lists alone do not find: by any property of a document."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clary.doors.wire import model
from clary.doors.wire.search_documents import Batch, kind_of
from clary.doors.wire.search_expressions import Search
from clary.doors.wire.search_pages import page, understand
from clary.kernel.errors import NotSupported
from clary.kernel.resource import Query

if TYPE_CHECKING:
    from collections.abc import Iterator

    from clary.doors.wire.call import Call
    from clary.doors.wire.search_documents import Document, Kind
    from clary.kernel.ports import JsonObject

_MOST_SUGGESTIONS = 20
_LOOKED_AT = 100
_MAPS = ("HyperParameters", "Parameters", "Tags", "CustomerMetadataProperties")
_METRICS = ("Metrics", "FinalMetricDataList")


def search(call: Call) -> JsonObject:
    """Find resources of a kind by their properties; the last changed comes first."""
    kind = kind_of(call.params["Resource"])
    if "VisibilityConditions" in call.params:
        raise NotSupported("VisibilityConditions: nothing is hidden here; leave them out")
    asked = understand(call, kind, _reader(kind))
    if call.params.get("CrossAccountFilterOption") == "CrossAccount":
        return {"Results": [], "TotalHits": {"Value": 0, "Relation": "EqualTo"}}
    found = page(call, asked)
    results = [{kind.record: document.whole()} for document in found.documents]
    total = {"Value": found.total, "Relation": "EqualTo"}
    if found.total is None:
        total = {"Value": len(results), "Relation": "GreaterThanOrEqualTo"}
    more = {"NextToken": found.token} if found.token else {}
    return {"Results": results, "TotalHits": total, **more}


def get_search_suggestions(call: Call) -> JsonObject:
    """Complete the name of a property: the shape's own, and those that recent resources have."""
    kind = kind_of(call.params["Resource"])
    asked = call.params.get("SuggestionQuery", {}).get("PropertyNameQuery", {})
    hint = asked.get("PropertyNameHint", "").lower()
    query = Query(kind.resource, call.account, call.region, sort_by="modified", limit=_LOOKED_AT)
    batch = Batch(call.platform, kind, call.platform.store.select(query).items)
    held = (name for one in batch.resources for name in _held(batch.document(one)))
    names = sorted({*_reader(kind).names(), *held}, key=lambda name: (name.count("."), name))
    found = [name for name in names if name.lower().startswith(hint)][:_MOST_SUGGESTIONS]
    return {"PropertyNameSuggestions": [{"PropertyName": name} for name in found]}


def _reader(kind: Kind) -> Search:
    return Search(model.service("sagemaker").shapes, kind.shape or kind.record)


def _held(document: Document) -> Iterator[str]:
    for member in _MAPS:
        if member in document:
            yield from (f"{member}.{key}" for key in document[member])
    for member in _METRICS:
        if member in document:
            yield from (f"Metrics.{one['MetricName']}" for one in document[member])
