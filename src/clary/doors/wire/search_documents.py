"""What is searched: the kinds, and the document that each resource is found by."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from clary.doors.wire import model
from clary.experiments import documents as experiments
from clary.experiments.model import COMPONENT, EXPERIMENT, TRIAL
from clary.features import documents as features
from clary.features.model import FEATURE, FEATURE_GROUP
from clary.jobs import describe
from clary.jobs.model import PROCESSING, TRAINING, TRANSFORM
from clary.kernel.errors import NotSupported
from clary.kernel.names import parse_arn
from clary.kernel.resource import Query
from clary.models import documents as models
from clary.pipelines import documents as pipelines
from clary.tuning import documents as tuning
from clary.tuning.model import TUNING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from clary.experiments.ports import Summary
    from clary.kernel.names import Ref
    from clary.kernel.ports import JsonObject
    from clary.kernel.resource import Resource
    from clary.platform import Platform

_SOURCES = {
    PROCESSING: "ProcessingJob",
    TRAINING: "TrainingJob",
    TRANSFORM: "TransformJob",
}


class Document:
    """The document of a resource; it is written, or a part of it read, when that is asked for."""

    def __init__(self, batch: Batch, resource: Resource) -> None:
        self._batch = batch
        self._resource = resource
        self._written: JsonObject | None = None

    def __contains__(self, name: str) -> bool:
        return self[name] is not None

    def __getitem__(self, name: str) -> Any:
        if name in self._batch.repeated:
            return self._resource.body["request"].get(name)
        if name in self._batch.later:
            return self._batch.later[name](self._batch, self._resource) or None
        if self._written is None:
            self._written = self._batch.kind.write(self._resource)
        return self._written.get(name)

    def whole(self) -> JsonObject:
        """Read everything; tags and their like become the lists of the public documents."""
        read = {name: self[name] for name in self._batch.later}
        pairs = {name: read.pop(name) or {} for name in self._batch.pairs}
        some = {name: value for name, value in read.items() if value is not None}
        lists = {
            name: [{"Key": key, "Value": held[key]} for key in held] for name, held in pairs.items()
        }
        return {**self._batch.kind.write(self._resource), **some, **lists}


class Batch:
    """Resources of one kind whose documents are written together."""

    def __init__(self, platform: Platform, kind: Kind, resources: Sequence[Resource]) -> None:
        self._platform = platform
        self.kind = kind
        self.resources = resources
        self.pairs = {**kind.pairs, "Tags": Batch.tags}
        self.later = {**kind.later, **self.pairs}
        self.repeated = repeated(kind)

    def document(self, resource: Resource) -> Document:
        """Give the document of one of them."""
        return Document(self, resource)

    @functools.cached_property
    def _tags(self) -> Mapping[Ref, Mapping[str, str]]:
        return self._platform.store.tags_of(one.ref for one in self.resources)

    @functools.cached_property
    def _summaries(self) -> Mapping[Ref, Sequence[Summary]]:
        return self._platform.experiments.metrics.of(self.resources)

    def tags(self, found: Resource) -> Mapping[str, str]:
        """Return a resource's tags, by key."""
        return self._tags.get(found.ref, {})

    def metrics(self, found: Resource) -> list[JsonObject]:
        """Summarize a component's metrics."""
        return experiments.metrics(found, self._summaries.get(found.ref, ()))

    def source(self, found: Resource) -> JsonObject | None:
        """Describe the job that a component was made for."""
        source = found.body["source"]
        if source is None:
            return None
        job = self._platform.store.get(parse_arn(source["SourceArn"]))
        described = {} if job is None else {_SOURCES[job.ref.kind]: describe.describe(job)}
        return {"SourceArn": source["SourceArn"], **described}

    def components(self, found: Resource) -> list[JsonObject]:
        """Name the components of a trial."""
        members = ("TrialComponentName", "TrialComponentArn", "TrialComponentSource")
        times = ("CreationTime", "CreatedBy")
        asked = Query("", found.ref.account, found.ref.region)
        page = self._platform.experiments.components(found.ref, asked)
        lines = map(experiments.summary, page.items)
        return [{name: line[name] for name in (*members, *times) if name in line} for line in lines]

    def best(self, found: Resource) -> JsonObject | None:
        """Name the best training job of a tuning job."""
        best: JsonObject | None = self._platform.tuning.describe(found.ref).get("BestTrainingJob")
        return best

    def last_run(self, found: Resource) -> Any:
        """Say when a pipeline was last started."""
        last = self._platform.pipelines.last_execution(found.ref)
        return last and last.created_at

    def parameters(self, found: Resource) -> list[JsonObject]:
        """List the values of an execution's parameters."""
        return list(self._platform.pipelines.parameters(found.ref))


def _pipeline(found: Resource) -> JsonObject:
    request, body = found.body["request"], found.body
    more = {"ParallelismConfiguration": request.get("ParallelismConfiguration")}
    return {
        **pipelines.pipeline_summary(found, None),
        "PipelineStatus": found.status,
        "CreatedBy": pipelines.by(body["created_by"]),
        "LastModifiedBy": pipelines.by(body["modified_by"]),
        **{name: value for name, value in more.items() if value},
    }


def _component(found: Resource) -> JsonObject:
    parents = found.body["parents"]
    return {**experiments.described(found), **({"Parents": parents} if parents else {})}


@functools.cache
def repeated(kind: Kind) -> frozenset[str]:
    """Name the members that a document repeats from the stored request, unchanged."""
    if not kind.request:
        return frozenset()
    return frozenset(model.service("sagemaker").shapes[kind.request]["members"]) - kind.own


@dataclass(frozen=True, slots=True, eq=False)
class Kind:
    """A kind that is searched.

    Parameters
    ----------
    resource
        The kind of the stored resources.
    record
        The member of a result that holds the document, and its shape unless ``shape`` differs.
    write
        Writes the document, without what ``later`` reads when it is needed.
    pairs
        Those of its maps that are lists of keys and values in the document, beside the tags.
    name, status
        The properties that the store lists by.
    request
        The shape of the create request that is stored.
    own
        Those of its members that the document does not simply repeat.
    folds
        Whether names are stored in small letters.
    """

    resource: str
    record: str
    write: Callable[[Resource], JsonObject]
    later: Mapping[str, Callable[[Batch, Resource], Any]] = field(default_factory=dict)
    pairs: Mapping[str, Callable[[Batch, Resource], Mapping[str, str]]] = field(
        default_factory=dict
    )
    name: str = ""
    status: str = ""
    request: str = ""
    own: frozenset[str] = frozenset({"Tags"})
    folds: bool = False
    shape: str = ""


_NAMED = frozenset({"Tags", "DisplayName"})
KINDS: Mapping[str, Kind] = {
    "TrainingJob": Kind(
        TRAINING,
        "TrainingJob",
        describe.describe,
        name="TrainingJobName",
        status="TrainingJobStatus",
        request="CreateTrainingJobRequest",
        own=frozenset({"Tags", "StoppingCondition", "EnableNetworkIsolation"}),
    ),
    "ModelPackage": Kind(
        "model-package",
        "ModelPackage",
        models.package,
        request="CreateModelPackageInput",
        own=frozenset(
            {"Tags", "ModelPackageName", "ModelPackageGroupName", "CertifyForMarketplace"}
        ),
    ),
    "ModelPackageGroup": Kind(
        "model-package-group",
        "ModelPackageGroup",
        models.group,
        name="ModelPackageGroupName",
        request="CreateModelPackageGroupInput",
    ),
    "Experiment": Kind(
        EXPERIMENT,
        "Experiment",
        experiments.described,
        name="ExperimentName",
        folds=True,
        request="CreateExperimentRequest",
        own=_NAMED,
    ),
    "ExperimentTrial": Kind(
        TRIAL,
        "Trial",
        experiments.described,
        {"TrialComponentSummaries": Batch.components},
        name="TrialName",
        folds=True,
        request="CreateTrialRequest",
        own=_NAMED,
    ),
    "ExperimentTrialComponent": Kind(
        COMPONENT,
        "TrialComponent",
        _component,
        {"Metrics": Batch.metrics, "SourceDetail": Batch.source},
        name="TrialComponentName",
        status="Status.PrimaryStatus",
        folds=True,
        request="CreateTrialComponentRequest",
        own=_NAMED,
    ),
    "Pipeline": Kind(
        "pipeline",
        "Pipeline",
        _pipeline,
        {"LastRunTime": Batch.last_run},
        name="PipelineName",
        status="PipelineStatus",
    ),
    "PipelineExecution": Kind(
        "pipeline-execution",
        "PipelineExecution",
        pipelines.execution,
        {"PipelineParameters": Batch.parameters},
        status="PipelineExecutionStatus",
    ),
    "HyperParameterTuningJob": Kind(
        TUNING,
        "HyperParameterTuningJob",
        lambda found: tuning.describe(found, None),
        {"BestTrainingJob": Batch.best},
        name="HyperParameterTuningJobName",
        status="HyperParameterTuningJobStatus",
        shape="HyperParameterTuningJobSearchEntity",
    ),
    "FeatureGroup": Kind(
        FEATURE_GROUP,
        "FeatureGroup",
        features.group,
        name="FeatureGroupName",
        status="FeatureGroupStatus",
        request="CreateFeatureGroupRequest",
        own=frozenset({"Tags", "OfflineStoreConfig", "ThroughputConfig"}),
    ),
    "FeatureMetadata": Kind(
        FEATURE,
        "FeatureMetadata",
        features.feature,
        pairs={"Parameters": lambda _, found: found.body["parameters"]},
    ),
}


def kind_of(word: str) -> Kind:
    """Find a kind by the word of the request. Raises NotSupported."""
    if word not in KINDS:
        raise NotSupported(f"Search for {word} is not offered; legal: {', '.join(KINDS)}")
    return KINDS[word]
