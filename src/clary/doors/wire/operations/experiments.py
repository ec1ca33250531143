"""Experiments, trials and trial components."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from clary.doors.wire.listing import answer, page_of, query, tags
from clary.experiments import documents
from clary.experiments.model import COMPONENT, EXPERIMENT, TRIAL, source_ref
from clary.kernel.errors import InvalidInput
from clary.kernel.names import arn, parse_arn, parse_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clary.doors.wire.call import Call
    from clary.kernel.names import Ref
    from clary.kernel.ports import JsonObject
    from clary.kernel.resource import Query, Resource

_PAGE = 10
"""What is documented as the page of these lists."""


def create_experiment(call: Call) -> JsonObject:
    """Make an experiment."""
    ref = _ref(call, EXPERIMENT)
    call.platform.experiments.create_experiment(ref, call.params, actor=call.actor, tags=tags(call))
    return _arns(ref)


def describe_experiment(call: Call) -> JsonObject:
    """Describe an experiment."""
    return _described(call, EXPERIMENT)


def update_experiment(call: Call) -> JsonObject:
    """Change an experiment's display name or description."""
    return _updated(call, EXPERIMENT)


def list_experiments(call: Call) -> JsonObject:
    """List experiments."""
    page = call.platform.experiments.list(_query(call, EXPERIMENT))
    return answer("ExperimentSummaries", map(documents.summary, page.items), page.token)


def delete_experiment(call: Call) -> JsonObject:
    """Remove an experiment without trials."""
    return _deleted(call, EXPERIMENT)


def create_trial(call: Call) -> JsonObject:
    """Make a trial of an experiment."""
    ref = _ref(call, TRIAL)
    call.platform.experiments.create_trial(ref, call.params, actor=call.actor, tags=tags(call))
    return _arns(ref)


def describe_trial(call: Call) -> JsonObject:
    """Describe a trial."""
    return _described(call, TRIAL)


def update_trial(call: Call) -> JsonObject:
    """Change a trial's display name."""
    return _updated(call, TRIAL)


def list_trials(call: Call) -> JsonObject:
    """List trials, all or those of an experiment or of a component."""
    experiments = call.platform.experiments
    experiment = _given(call, EXPERIMENT)
    if "TrialComponentName" in call.params:
        found = experiments.trials_of(_ref(call, COMPONENT))
        return page_of(call, "TrialSummaries", _ordered(call, found, experiment))
    if experiment is not None:
        experiments.get(experiment)
    page = experiments.list(replace(_query(call, TRIAL), parent=experiment))
    return answer("TrialSummaries", map(documents.summary, page.items), page.token)


def delete_trial(call: Call) -> JsonObject:
    """Remove a trial without components."""
    return _deleted(call, TRIAL)


def create_trial_component(call: Call) -> JsonObject:
    """Make a component."""
    ref = _ref(call, COMPONENT)
    call.platform.experiments.create_component(ref, call.params, actor=call.actor, tags=tags(call))
    return _arns(ref)


def describe_trial_component(call: Call) -> JsonObject:
    """Describe a component with the summaries of its metrics."""
    experiments = call.platform.experiments
    found = experiments.get(_ref(call, COMPONENT))
    summaries = experiments.metrics.of([found]).get(found.ref, ())
    document = documents.described(found)
    return {**document, "Metrics": documents.metrics(found, summaries)}


def update_trial_component(call: Call) -> JsonObject:
    """Change a component: parameters and artifacts are added, replaced and removed by name."""
    return _updated(call, COMPONENT)


def list_trial_components(call: Call) -> JsonObject:
    """List components, all or those of an experiment, of a trial, or of a job."""
    experiments = call.platform.experiments
    asked = _query(call, COMPONENT)
    members = [name for name in ("ExperimentName", "TrialName", "SourceArn") if name in call.params]
    match members:
        case []:
            page = experiments.list(asked)
        case ["SourceArn"]:
            source = parse_arn(call.params["SourceArn"], field="SourceArn")
            page = experiments.list(replace(asked, parent=source_ref(source)))
        case [_]:
            holder = _given(call, EXPERIMENT) or _ref(call, TRIAL)
            page = experiments.components(holder, asked)
        case _:
            raise InvalidInput(
                " and ".join(members), "they do not go together", legal="one of them"
            )
    return answer("TrialComponentSummaries", map(documents.summary, page.items), page.token)


def delete_trial_component(call: Call) -> JsonObject:
    """Remove a component that is in no trial."""
    return _deleted(call, COMPONENT)


def associate_trial_component(call: Call) -> JsonObject:
    """Put a component into a trial."""
    component, trial = _ref(call, COMPONENT), _ref(call, TRIAL)
    call.platform.experiments.associate(component, trial, actor=call.actor)
    return _arns(component, trial)


def disassociate_trial_component(call: Call) -> JsonObject:
    """Take a component out of a trial."""
    component, trial = _ref(call, COMPONENT), _ref(call, TRIAL)
    call.platform.experiments.disassociate(component, trial, actor=call.actor)
    return _arns(component, trial)


def _ref(call: Call, kind: str) -> Ref:
    field = f"{documents.word(kind)}Name"
    name = call.params[field].lower()
    return parse_name(name, kind, account=call.account, region=call.region, field=field)


def _given(call: Call, kind: str) -> Ref | None:
    return _ref(call, kind) if f"{documents.word(kind)}Name" in call.params else None


def _arns(*refs: Ref) -> JsonObject:
    return {f"{documents.word(ref.kind)}Arn": arn(ref) for ref in refs}


def _described(call: Call, kind: str) -> JsonObject:
    return documents.described(call.platform.experiments.get(_ref(call, kind)))


def _updated(call: Call, kind: str) -> JsonObject:
    ref = _ref(call, kind)
    field = f"{documents.word(kind)}Name"
    change = {name: value for name, value in call.params.items() if name != field}
    call.platform.experiments.update(ref, change, actor=call.actor)
    return _arns(ref)


def _deleted(call: Call, kind: str) -> JsonObject:
    ref = _ref(call, kind)
    call.platform.experiments.delete(ref, actor=call.actor)
    return _arns(ref)


def _query(call: Call, kind: str) -> Query:
    return replace(query(call, kind), limit=call.params.get("MaxResults", _PAGE))


def _ordered(call: Call, trials: Sequence[Resource], experiment: Ref | None) -> list[JsonObject]:
    asked = query(call, TRIAL)
    kept = [
        trial
        for trial in trials
        if (experiment is None or trial.parent == experiment)
        and (asked.created_after is None or trial.created_at > asked.created_after)
        and (asked.created_before is None or trial.created_at < asked.created_before)
    ]
    kept.sort(
        key=lambda trial: trial.ref.name if asked.sort_by == "name" else trial.created_at,
        reverse=asked.descending,
    )
    return list(map(documents.summary, kept))
