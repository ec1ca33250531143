"""Where baselines are: named by a definition, or made by the job that it names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clary.jobs.contract import join_uri
from clary.jobs.model import PROCESSING
from clary.jobs.model import read as read_job
from clary.kernel.errors import NotFound

if TYPE_CHECKING:
    from clary.kernel.names import Ref
    from clary.kernel.ports import MetadataStore, ObjectStore
    from clary.monitoring.model import Type
    from clary.monitoring.requests import Baseline

CONSTRAINTS: dict[Type, str] = {
    "DataQuality": "constraints.json",
    "ModelQuality": "constraints.json",
    "ModelBias": "analysis.json",
    "ModelExplainability": "analysis.json",
}
"""What the constraints of a baseline are called."""
STATISTICS = "statistics.json"


class Baselines:
    """Finds the files of baselines."""

    def __init__(self, store: MetadataStore, objects: ObjectStore) -> None:
        self._store = store
        self._objects = objects

    def uris(self, near: Ref, of: Type, given: Baseline) -> tuple[str, str]:
        """Say where constraints and statistics lie; empty where there are none.

        Raises
        ------
        NotFound
            The job that is to have made them does not exist.
        """
        constraints, statistics = (
            given.constraints_resource.s3_uri,
            given.statistics_resource.s3_uri,
        )
        if given.baselining_job_name and not constraints:
            folder = self._made(near.sibling(PROCESSING, given.baselining_job_name))
            constraints = join_uri(folder, CONSTRAINTS[of])
            if of == "DataQuality" and not statistics:
                statistics = join_uri(folder, STATISTICS)
        return constraints, statistics

    def _made(self, job: Ref) -> str:
        found = self._store.get(job)
        outputs = read_job(found).request.get("ProcessingOutputConfig") if found else None
        if not outputs or not outputs["Outputs"]:
            raise NotFound(f"the baseline of {job}")
        uri: str = outputs["Outputs"][0]["S3Output"]["S3Uri"]
        return uri
