"""Lines of the journal as OpenLineage run events (specification 2-0-2).

A job's run and its pipeline execution's are named by UUIDs computed from what they are, so that an
event that is sent twice is the same event.
"""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass
from importlib import metadata
from typing import TYPE_CHECKING, Any

from clary.kernel.names import arn
from clary.lineage.entities import EXECUTION, JOB_KINDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clary.kernel.names import Ref
    from clary.kernel.ports import JsonObject, MetadataStore
    from clary.kernel.resource import Event, Resource
    from clary.lineage.model import Artifact
    from clary.lineage.service import Lineage, Used

SCHEMA = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs"
_FACETS = "https://openlineage.io/spec/facets"
_RUNS = uuid.UUID("0b9a1c52-6a53-5d4e-9d0a-3a0f6f5f7c11")
"""The namespace of run ids; changing it would give every run another."""
_TYPES = {
    "created": "START",
    "completed": "COMPLETE",
    "succeeded": "COMPLETE",
    "failed": "FAIL",
    "stopped": "ABORT",
    "retried": "RUNNING",
}
_ENDS = ("COMPLETE", "FAIL", "ABORT")
_STEP = re.compile(r"pipelines-[a-z0-9]{12}-(.+)-[0-9a-f]{10}")


@dataclass(frozen=True, slots=True)
class RunEvents:
    """Writes run events.

    Parameters
    ----------
    store
        Where things are, and when they were created.
    lineage
        What jobs used and made.
    """

    store: MetadataStore
    lineage: Lineage

    def of(self, event: Event) -> JsonObject | None:
        """Write the run event that a line of the journal stands for; None when it is none."""
        word = _type(event)
        if word is None:
            return None
        ref = event.ref
        found = self.store.get(ref)
        inputs, outputs = self._datasets(ref, word)
        return {
            "eventType": word,
            "eventTime": _time(event),
            "producer": producer(),
            "schemaURL": f"{SCHEMA}/RunEvent",
            "run": {"runId": self._run_id(event), "facets": self._run_facets(event, found, word)},
            "job": {**_job(ref, found), "facets": {"jobType": _job_type(ref)}},
            "inputs": [_dataset(used) for _, used in inputs],
            "outputs": [_written(used) for _, used in outputs],
        }

    def _datasets(self, ref: Ref, word: str) -> tuple[Sequence[Used], Sequence[Used]]:
        if ref.kind == EXECUTION or word == "START":
            return [], []
        used = [pair for pair in self.lineage.used(ref) if _is_data(pair[1])]
        made = self.lineage.made(ref) if word in _ENDS else []
        roles = {role for role, _ in made}
        whole = [x for x in made if x[0].partition("/")[0] not in roles - {x[0]}]
        return used, whole

    def _run_facets(self, event: Event, found: Resource | None, word: str) -> JsonObject:
        facets: JsonObject = {}
        if found is not None and found.parent is not None and found.parent.kind == EXECUTION:
            parent = found.parent
            facets["parent"] = _facet(
                "1-0-1/ParentRunFacet.json#/$defs/ParentRunFacet",
                run={"runId": self._run_id(event, parent)},
                job=_job(parent, None),
            )
        if reason := event.detail.get("reason"):
            facets["errorMessage"] = _facet(
                "1-0-1/ErrorMessageRunFacet.json#/$defs/ErrorMessageRunFacet",
                message=str(reason),
                programmingLanguage="PYTHON",
            )
        for _, used in self.lineage.used(event.ref) if word != "START" else ():
            if used.type == "environment":
                facets["clary_environment"] = _custom(
                    "RunFacet", description=used.uri, sha256=used.digest
                )
        return facets

    def _run_id(self, event: Event, of: Ref | None = None) -> str:
        """Name a run by what it is and by when it was created: names may be used again."""
        ref = of or event.ref
        created = [
            one.at
            for one in self.store.events(ref=ref)
            if one.action == f"{ref.kind}.created" and one.id <= event.id
        ]
        moment = created[-1].isoformat() if created else ""
        return str(uuid.uuid5(_RUNS, f"{arn(ref)} {moment}"))


def producer() -> str:
    """Name this software, as the specification wants it: by a URI."""
    return f"urn:clary:{metadata.version('clary')}"


def _type(event: Event) -> str | None:
    if event.ref.kind not in (*JOB_KINDS, EXECUTION):
        return None
    word = event.action.partition(".")[2]
    if word == "advanced" and event.detail.get("stage") == "Running":
        return "RUNNING"
    return _TYPES.get(word)


def _time(event: Event) -> str:
    return event.at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _job(ref: Ref, found: Resource | None) -> JsonObject:
    """Name a job: of a pipeline's, ``<pipeline>.<step>``, the same at every execution."""
    name = ref.name
    if ref.kind == EXECUTION:
        name = ref.name.partition("/")[0]
    elif found is not None and found.parent is not None and found.parent.kind == EXECUTION:
        match = _STEP.fullmatch(ref.name)
        name = f"{found.parent.name.partition('/')[0]}.{match[1] if match else ref.name}"
    return {"namespace": f"clary://{ref.account}/{ref.region}", "name": name}


def _job_type(ref: Ref) -> JsonObject:
    return _facet(
        "2-0-3/JobTypeJobFacet.json#/$defs/JobTypeJobFacet",
        processingType="BATCH",
        integration="CLARY",
        jobType="DAG" if ref.kind == EXECUTION else ref.kind.upper().replace("-", "_"),
    )


def _is_data(used: Artifact) -> bool:
    return used.type != "environment"


def _dataset(used: Artifact) -> JsonObject:
    """Write a dataset: the bucket is its namespace, and its digest its version."""
    scheme, _, rest = used.uri.partition("://")
    bucket, _, key = rest.partition("/")
    return {
        "namespace": f"{scheme}://{bucket}",
        "name": key or "/",
        "facets": {
            "version": _facet(
                "1-0-1/DatasetVersionDatasetFacet.json#/$defs/DatasetVersionDatasetFacet",
                datasetVersion=f"sha256:{used.digest}",
            ),
            "clary_content": _custom(
                "DatasetFacet", sha256=used.digest, size=used.size_bytes, fileCount=used.file_count
            ),
        },
    }


def _written(made: Artifact) -> JsonObject:
    statistics = _facet(
        "1-0-2/OutputStatisticsOutputDatasetFacet.json#/$defs/OutputStatisticsOutputDatasetFacet",
        size=made.size_bytes,
        fileCount=made.file_count,
    )
    return {**_dataset(made), "outputFacets": {"outputStatistics": statistics}}


def _facet(schema: str, **members: Any) -> JsonObject:
    return {"_producer": producer(), "_schemaURL": f"{_FACETS}/{schema}", **members}


def _custom(kind: str, **members: Any) -> JsonObject:
    return {"_producer": producer(), "_schemaURL": f"{SCHEMA}/{kind}", **members}
