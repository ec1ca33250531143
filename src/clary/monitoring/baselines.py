"""Where baselines are: named by a definition, made by a job, or kept with a registered model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from msgspec import Struct

from clary.jobs.contract import join_uri
from clary.jobs.model import PROCESSING
from clary.jobs.model import read as read_job
from clary.kernel.errors import NotFound
from clary.kernel.resource import Query

if TYPE_CHECKING:
    from clary.kernel.names import Ref
    from clary.kernel.ports import MetadataStore
    from clary.monitoring import requests
    from clary.monitoring.model import Type

CONSTRAINTS: dict[Type, str] = {
    "DataQuality": "constraints.json",
    "ModelQuality": "constraints.json",
    "ModelBias": "analysis.json",
    "ModelExplainability": "analysis.json",
}
"""What the constraints of a baseline are called."""
STATISTICS = "statistics.json"
Check = Literal["DATA_QUALITY", "MODEL_QUALITY", "DATA_BIAS", "MODEL_BIAS", "MODEL_EXPLAINABILITY"]
"""What a check step of a pipeline looks at."""
_KEPT: dict[Check, tuple[str, str]] = {
    "DATA_QUALITY": ("ModelDataQuality", "Constraints"),
    "MODEL_QUALITY": ("ModelQuality", "Constraints"),
    "DATA_BIAS": ("Bias", "PreTrainingConstraints"),
    "MODEL_BIAS": ("Bias", "PostTrainingConstraints"),
    "MODEL_EXPLAINABILITY": ("Explainability", "Constraints"),
}
"""Where ``DriftCheckBaselines`` of a model package keep the constraints of each."""


class Baseline(Struct, frozen=True):
    """URIs of a baseline's files; empty where there are none."""

    constraints: str = ""
    statistics: str = ""


class Baselines:
    """Finds the files of baselines."""

    def __init__(self, store: MetadataStore) -> None:
        self._store = store

    def uris(self, near: Ref, of: Type, given: requests.Baseline) -> tuple[str, str]:
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


def registered(store: MetadataStore, group: Ref, check: Check) -> Baseline:
    """Find the baseline that the latest approved version of a group keeps for a check."""
    query = Query(
        "model-package",
        group.account,
        group.region,
        parent=group,
        where={"request.ModelApprovalStatus": "Approved"},
        sort_by="version",
        limit=1,
    )
    for package in store.select(query).items:
        kept: Any = package.body["request"].get("DriftCheckBaselines") or {}
        member, constraints = _KEPT[check]
        files = kept.get(member) or {}
        return Baseline(
            (files.get(constraints) or {}).get("S3Uri", ""),
            (files.get("Statistics") or {}).get("S3Uri", ""),
        )
    return Baseline()
