"""The composition root: the only file that knows both the services and their adapters."""

from __future__ import annotations

import secrets
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from clary.adapters.files import FileObjects
from clary.adapters.logfiles import LogFiles
from clary.adapters.openlineage import OpenLineage
from clary.adapters.optuna_studies import OptunaStudies
from clary.adapters.process.runner import ProcessRunner
from clary.adapters.property_shapes import check_property
from clary.adapters.sqlite import SqliteStore
from clary.adapters.sqlite_metrics import SqliteMetrics
from clary.adapters.sqlite_series import SqliteSeries
from clary.adapters.uv import UvEnvironments
from clary.endpoints.asynchronous import QUEUE as ASYNC_QUEUE
from clary.endpoints.asynchronous import AsyncInvocations
from clary.endpoints.compilations import COMPILATION
from clary.endpoints.deployments import Deployments
from clary.endpoints.model import ENDPOINT, FLEET
from clary.endpoints.scaling import Scaling
from clary.endpoints.scaling_requests import TARGET
from clary.endpoints.shadow_tests import EXPERIMENT, ShadowTests
from clary.endpoints.sources import Sources
from clary.endpoints.steps import EndpointConfigStep, EndpointStep
from clary.endpoints.workers import Tools as WorkerTools
from clary.experiments.jobs import JobComponents, JobMetrics
from clary.experiments.service import Experiments
from clary.feature_store import FeatureStore, open_feature_store
from clary.functions.invocations import Invocations
from clary.functions.invocations import Tools as FunctionTools
from clary.functions.model import INVOCATION
from clary.functions.service import Functions
from clary.functions.steps import LambdaStep
from clary.governance.service import Governance
from clary.jobs.describe import describe
from clary.jobs.environments import Environments
from clary.jobs.model import KINDS
from clary.jobs.service import Jobs
from clary.jobs.steps import ProcessingStep, TrainingStep, TransformStep
from clary.kernel.journal import FOLLOWER, Journal
from clary.kernel.work import Worker
from clary.lineage.open_lineage import RunEvents
from clary.lineage.registrations import Registrations
from clary.lineage.service import Lineage
from clary.lineage.steps import LineageStep
from clary.metrics.alarms import ALARM, Alarms
from clary.metrics.recorder import Recorder
from clary.metrics.service import Metrics
from clary.model_monitoring import open_monitoring
from clary.model_serving import Measures, open_model_serving
from clary.models import documents as model_documents
from clary.models.reproduction import Reproductions
from clary.models.service import Models
from clary.models.steps import ModelStep, RegisterModelStep
from clary.monitoring.alerts import NOTICE
from clary.monitoring.leftovers import Leftovers
from clary.monitoring.model import EXECUTION as MONITORING_EXECUTION
from clary.monitoring.model import SCHEDULE as MONITORING_SCHEDULE
from clary.pipelines.deliveries import DELIVERY, Deliveries, Receivers
from clary.pipelines.rules import RULE, Rules
from clary.pipelines.schedules import SCHEDULE, Schedules
from clary.pipelines.service import Pipelines
from clary.pipelines.steps import ConditionStep, FailStep
from clary.pipelines.triggers import Triggers
from clary.queues.callbacks import CALLBACK, Callbacks
from clary.queues.service import Queues
from clary.queues.steps import CallbackStep
from clary.tuning import documents as tuning_documents
from clary.tuning.model import TUNING
from clary.tuning.service import Tuning
from clary.tuning.steps import TuningStep

if TYPE_CHECKING:
    from pathlib import Path

    from clary.config import Config
    from clary.endpoints.captures import Captures
    from clary.endpoints.fleets import Fleets
    from clary.endpoints.service import Endpoints
    from clary.endpoints.serving import Serving
    from clary.endpoints.shadows import Shadows
    from clary.features.service import Features
    from clary.jobs.ports import JobRunner, LogStore
    from clary.kernel.journal import Follower, Sender
    from clary.kernel.ports import MetadataStore, ObjectStore
    from clary.kernel.steps import StepKind
    from clary.monitoring.service import Monitoring

_DESCRIBED = {
    **dict.fromkeys(KINDS, describe),
    TUNING: lambda found: tuning_documents.describe(found, None),
    "model": model_documents.model,
    "model-package": model_documents.package,
}
"""The describe documents that events have as detail."""
_PARALLEL = {
    "pipeline-execution": 8,
    INVOCATION: 16,
    DELIVERY: 4,
    TUNING: 8,
    FLEET: 16,
    ENDPOINT: 4,
    ASYNC_QUEUE: 64,
    COMPILATION: 2,
    MONITORING_EXECUTION: 4,
}
"""How many resources of a kind are worked on at once."""


@dataclass(frozen=True, slots=True)
class Platform:
    """One home, opened: its services, its ports for the doors, and the worker to start."""

    config: Config
    store: MetadataStore
    objects: ObjectStore
    logs: LogStore
    runner: JobRunner
    governance: Governance
    lineage: Lineage
    recorder: Recorder
    metrics: Metrics
    alarms: Alarms
    captures: Captures
    environments: Environments
    jobs: Jobs
    pipelines: Pipelines
    models: Models
    reproductions: Reproductions
    queues: Queues
    callbacks: Callbacks
    functions: Functions
    invocations: Invocations
    schedules: Schedules
    rules: Rules
    experiments: Experiments
    tuning: Tuning
    features: Features
    feature_store: FeatureStore
    fleets: Fleets
    endpoints: Endpoints
    sources: Sources
    deployments: Deployments
    shadows: Shadows
    serving: Serving
    async_invocations: AsyncInvocations
    scaling: Scaling
    shadow_tests: ShadowTests
    monitoring: Monitoring
    worker: Worker


def open_platform(config: Config) -> Platform:
    """Open a home, making what is missing; the worker is not started.

    Any number of processes may have one home open; each worker takes what no other holds.
    """
    home = _folders(config.home)
    store = SqliteStore(home / "metadata.db")
    objects = FileObjects(home / "buckets")
    logs = LogFiles(home / "logs")
    runner = ProcessRunner(home / "processes")
    governance = Governance(store, home, account=config.account)
    lineage = Lineage(store)
    recorder, metrics, alarms = _measures(home, store)
    environments = Environments(
        store, UvEnvironments(home / "environments"), strict=config.strict_versions
    )
    feature_store = open_feature_store(config, store, objects, recorder)
    jobs = Jobs(
        store,
        objects,
        runner,
        logs,
        lineage,
        environment=governance.job_environment,
        environments=environments,
        memory_bytes=config.job_memory_bytes,
        groups=feature_store.ingestion,
    )
    models, queues = Models(store, objects, lineage), Queues(store, store)
    schedules, rules = Schedules(store), Rules(store)
    callbacks, functions = Callbacks(store, queues.messages), Functions(store, objects)
    invocations = Invocations(
        FunctionTools(store, store, objects, runner, logs, governance.job_environment)
    )
    experiments = Experiments(store, objects, SqliteMetrics(home / "metrics.db"))
    tuning = Tuning(store, logs, jobs, OptunaStudies())
    serving = open_model_serving(
        WorkerTools(
            store,
            objects,
            runner,
            logs,
            governance.job_environment,
            environments,
            memory_bytes=config.job_memory_bytes,
        ),
        config,
        Measures(recorder, metrics, alarms),
        queues.messages,
        feature_store.view_log,
    )
    monitoring = open_monitoring(store, objects, jobs, metrics, smtp=config.smtp)
    kinds: dict[str, StepKind] = {
        "Processing": ProcessingStep(jobs),
        "Training": TrainingStep(jobs),
        "Transform": TransformStep(jobs),
        "Model": ModelStep(models),
        "RegisterModel": RegisterModelStep(models),
        "Tuning": TuningStep(tuning),
        "Condition": ConditionStep(),
        "Fail": FailStep(),
        "Callback": CallbackStep(callbacks),
        "Lineage": LineageStep(lineage),
        "Lambda": LambdaStep(functions, invocations),
        "EndpointConfig": EndpointConfigStep(serving.endpoints),
        "Endpoint": EndpointStep(serving.endpoints),
        **monitoring.steps,
    }
    pipelines = Pipelines(
        store, objects, kinds, known=check_property, crew=jobs.crew(config.parallel_jobs)
    )
    run_events = RunEvents(store, lineage)
    senders: list[Sender] = [
        JobMetrics(store, logs, experiments.metrics),
        Leftovers(store, serving.endpoints),
    ]
    senders += [OpenLineage(run_events, config.openlineage)] if config.openlineage else []
    followers: list[Follower] = [
        Registrations(store),
        JobComponents(experiments),
        serving.compilations,
        Triggers(store, rules, {**_DESCRIBED, ENDPOINT: serving.endpoints.document}),
    ]
    receivers = Receivers(pipelines, queues.messages, invocations)
    journal = Journal(store, followers, senders)
    journal.install()
    worker = Worker(
        store,
        {
            "pipeline-execution": pipelines.run,
            FOLLOWER: journal.run,
            CALLBACK: callbacks.run,
            INVOCATION: invocations.run,
            SCHEDULE: schedules.run,
            RULE: rules.run,
            DELIVERY: Deliveries(store, receivers).run,
            TUNING: tuning.run,
            ALARM: alarms.run,
            FLEET: serving.fleets.run,
            ENDPOINT: serving.controller.run,
            COMPILATION: serving.compilations.run,
            TARGET: serving.autoscaler.run,
            EXPERIMENT: serving.shadow_tests.run,
            ASYNC_QUEUE: serving.async_invocations.run,
            MONITORING_SCHEDULE: monitoring.schedules.run,
            MONITORING_EXECUTION: monitoring.executions.run,
            NOTICE: monitoring.alerts.run,
            **dict.fromkeys(KINDS, jobs.run),
            **feature_store.handlers,
        },
        {
            **_PARALLEL | dict(feature_store.parallel),
            FOLLOWER: max(1, journal.readers),
            **dict.fromkeys(KINDS, config.parallel_jobs),
        },
        lease_s=config.lease_s,
    )
    return Platform(
        config=config,
        store=store,
        objects=objects,
        logs=logs,
        runner=runner,
        governance=governance,
        lineage=lineage,
        recorder=recorder,
        metrics=metrics,
        alarms=alarms,
        captures=serving.captures,
        environments=environments,
        jobs=jobs,
        pipelines=pipelines,
        models=models,
        reproductions=Reproductions(store, objects, lineage, jobs, pipelines),
        queues=queues,
        callbacks=callbacks,
        functions=functions,
        invocations=invocations,
        schedules=schedules,
        rules=rules,
        experiments=experiments,
        tuning=tuning,
        features=feature_store.features,
        feature_store=feature_store,
        fleets=serving.fleets,
        endpoints=serving.endpoints,
        sources=Sources(store, objects),
        deployments=Deployments(store, models, serving.endpoints),
        shadows=serving.shadows,
        serving=serving.serving,
        async_invocations=serving.async_invocations,
        scaling=Scaling(store),
        shadow_tests=serving.shadow_tests,
        monitoring=monitoring,
        worker=worker,
    )


def _folders(home: Path) -> Path:
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    for name in ("buckets", "logs"):  # private even in a home that is not
        (home / name).mkdir(exist_ok=True, mode=0o700)
    return home


def _measures(home: Path, store: SqliteStore) -> tuple[Recorder, Metrics, Alarms]:
    series = SqliteSeries(home / "series.db")
    recorder = Recorder(series)
    metrics = Metrics(series, recorder)
    return recorder, metrics, Alarms(store, metrics)


def emptied(platform: Platform) -> Platform:
    """Remove what a home holds but its keys and its server's files, and open it again.

    Its worker is stopped and the processes of its jobs are killed. What still works on the home
    as it was does so on files that are gone.
    """
    home = platform.config.home
    platform.worker.stop()
    platform.shadows.close()
    platform.serving.close()
    platform.feature_store.close()
    platform.captures.close()
    platform.recorder.close()
    for process in [path.name for path in (home / "processes").iterdir()]:
        if not process.startswith("."):
            platform.runner.discard(process)
    for path in list(home.iterdir()):
        if path.is_dir():
            gone = path.rename(home / f".removed-{secrets.token_hex(8)}")
            shutil.rmtree(gone, ignore_errors=True)  # something may still be writing there
        elif path.name.startswith(("metadata.", "metrics.", "series.")):
            path.unlink(missing_ok=True)
    return open_platform(platform.config)
