"""Search over what lists alone do not find: by any property of a document."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from clary.doors.wire import model
from clary.doors.wire.listing import page_of
from clary.doors.wire.search_expressions import Search
from clary.jobs import describe
from clary.kernel.errors import InvalidInput, NotFound, NotSupported
from clary.kernel.resource import Query
from clary.models import documents as registry
from clary.pipelines import documents as pipelines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from clary.doors.wire.call import Call
    from clary.kernel.ports import JsonObject
    from clary.kernel.resource import Resource

_PAGE = 1000
_KINDS = {
    "TrainingJob": "training-job",
    "ModelPackage": "model-package",
    "ModelPackageGroup": "model-package-group",
    "Pipeline": "pipeline",
    "PipelineExecution": "pipeline-execution",
}


def search(call: Call) -> JsonObject:
    """Find resources of a kind by their properties; the last changed comes first."""
    params, word = call.params, call.params["Resource"]
    if word not in _KINDS:
        raise NotSupported(f"Search for {word} is not offered; legal: {', '.join(_KINDS)}")
    if "VisibilityConditions" in params:
        raise NotSupported("VisibilityConditions: nothing is hidden here; leave them out")
    reader = Search(model.service("sagemaker").shapes, word)
    asked = params.get("SearchExpression")
    matches = reader.expression(asked) if asked is not None else None
    order = _order(reader, params.get("SortBy"))
    shared = params.get("CrossAccountFilterOption") == "CrossAccount"
    found = [
        (order(resource, document), document)
        for resource, document in (() if shared else _documents(call, word))
        if matches is None or matches(document)
    ]
    descending = params.get("SortOrder", "Descending") == "Descending"
    found.sort(key=lambda pair: pair[0], reverse=descending)
    records = [{word: _with_tag_list(document)} for _, document in found]
    total = {"Value": len(records), "Relation": "EqualTo"}
    return {**page_of(call, "Results", records), "TotalHits": total}


def _documents(call: Call, word: str) -> Iterator[tuple[Resource, JsonObject]]:
    write = _writers(call)[word]
    asked = Query(_KINDS[word], call.account, call.region, limit=_PAGE)
    while True:
        page = call.platform.store.select(asked)
        for resource in page.items:
            try:
                document = write(resource)
            except NotFound:  # deleted since it was listed
                continue
            tags = call.platform.store.tags(resource.ref)
            yield resource, {**document, **({"Tags": dict(tags)} if tags else {})}
        if not page.token:
            return
        asked = replace(asked, token=page.token)


def _writers(call: Call) -> dict[str, Callable[[Resource], JsonObject]]:
    def execution(found: Resource) -> JsonObject:
        values = call.platform.pipelines.parameters(found.ref)
        return {**pipelines.execution(found), "PipelineParameters": list(values)}

    return {
        "TrainingJob": describe.describe,
        "ModelPackage": registry.package,
        "ModelPackageGroup": registry.group,
        "Pipeline": lambda found: call.platform.pipelines.describe(found.ref),
        "PipelineExecution": execution,
    }


def _order(reader: Search, name: str | None) -> Callable[[Resource, JsonObject], Any]:
    if name is None:
        return lambda resource, _: (resource.modified_at, resource.ref)
    found = reader.find(name)
    if found.kind in ("structure", "list", "map"):
        raise InvalidInput("SortBy", f"{name} is a {found.kind}", legal="the name of a value")

    def key(resource: Resource, document: JsonObject) -> Any:
        values = list(found.values(document))[:1]
        return bool(values), values, resource.ref

    return key


def _with_tag_list(document: JsonObject) -> JsonObject:
    tags = document.get("Tags", {})
    return {**document, "Tags": [{"Key": key, "Value": tags[key]} for key in sorted(tags)]}
