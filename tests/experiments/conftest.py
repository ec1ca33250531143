from __future__ import annotations

import pytest

from clary.adapters.files import FileObjects
from clary.adapters.sqlite import SqliteStore
from clary.adapters.sqlite_metrics import SqliteMetrics
from clary.experiments.model import COMPONENT, EXPERIMENT, TRIAL
from clary.experiments.service import Experiments
from clary.kernel.names import Ref

ACTOR = "arn:aws:iam::123456789012:user/me"


def ref(kind, name):
    return Ref("123456789012", "us-east-1", kind, name)


@pytest.fixture
def store(tmp_path):
    store = SqliteStore(tmp_path / "metadata.db")
    yield store
    store.close()


@pytest.fixture
def experiments(store, tmp_path):
    points = SqliteMetrics(tmp_path / "metrics.db")
    yield Experiments(store, FileObjects(tmp_path / "buckets"), points)
    points.close()


@pytest.fixture
def component(experiments):
    made = ref(COMPONENT, "c")
    experiments.create_component(made, {"TrialComponentName": "c"}, actor=ACTOR)
    return made


@pytest.fixture
def trial(experiments):
    experiments.create_experiment(ref(EXPERIMENT, "e"), {"ExperimentName": "e"}, actor=ACTOR)
    made = ref(TRIAL, "t")
    request = {"TrialName": "t", "ExperimentName": "e"}
    experiments.create_trial(made, request, actor=ACTOR)
    return made
