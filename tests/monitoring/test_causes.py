"""Explanations say what they cannot show, in a sentence, and tell the rest."""

import json
from datetime import timedelta

import pytest
from tests.monitoring.world import BUCKET, REF, inline, request

from clary.kernel.clock import now
from clary.kernel.errors import InvalidInput, NotFound
from clary.kernel.resource import Resource
from clary.monitoring.causes import Causes
from clary.monitoring.model import EXECUTION, VIOLATED, Execution, body

FOUND = [
    {"facet": "sex", "facet_value": "F", "metric_name": "DPPL", "description": "far from even"},
    {"feature_name": "x", "constraint_check_type": "data_type_check", "description": "texts"},
]


@pytest.fixture
def looked(world):
    """Make an execution that found this, of what is given."""
    world.schedules.create(REF, request(), actor="ada")

    def make(report=None, name="20260131T0900", **members):
        at = now()
        value = {"start": at - timedelta(hours=1), "end": at, "violations": 2, **members}
        kept = {"config": inline(), "output": f"s3://{BUCKET}/{name}", **value}
        given = Execution(REF.name, "ada", kept.pop("type", "DataQuality"), at, **kept)
        ref = REF.sibling(EXECUTION, f"{REF.name}/{name}")
        with world.store.begin() as change:
            change.insert(Resource(ref, body(given), at, at, VIOLATED, REF))
        document = {"violations": FOUND} if report is None else report
        world.put(f"{name}/constraint_violations.json", json.dumps(document).encode())
        return ref

    return make


def explain(world, **given):
    return Causes(world.store, world.objects).explain(world.store.get(REF), **given)


def baseline(world, **members):
    """Keep constraints, and name them in a definition."""
    given = {"features": [{"name": "x", "inferred_type": "Integral"}]}
    world.put("usual/constraints.json", json.dumps(given).encode())
    place = {"ConstraintsResource": {"S3Uri": f"s3://{BUCKET}/usual/constraints.json"}}
    return {**inline(), "BaselineConfig": place, **members}


def test_metrics_have_no_rows(world, looked):
    looked(type="ModelBias", config=baseline(world))
    found = explain(world)
    assert [(one.of, one.rows) for one in found.causes] == [("DPPL sex F", ()), ("x", ())]
    assert found.causes[0].said == ("far from even",)
    assert found.notes == ("ModelBias is measured over all rows together: none alone is outside.",)
    assert found.baseline_at is not None
    assert [one.of for one in explain(world, of="x").causes] == ["x"]


def test_rows_of_a_script_of_ones_own_are_not_made_here(world, looked):
    app = {
        **inline()["MonitoringAppSpecification"],
        "RecordPreprocessorSourceUri": f"s3://{BUCKET}/script.py",
    }
    looked(endpoint="prices", config=baseline(world, MonitoringAppSpecification=app))
    assert explain(world).notes == (
        "Rows are made by a script of yours, which runs in the job alone.",
    )


def test_what_is_gone_is_said(world, looked):
    looked(endpoint="prices", config=baseline(world))
    [note] = explain(world).notes
    assert note.startswith("The captured requests cannot be read: what monthly looked at")
    looked(name="20260131T1000", definition="gone", config={})
    assert explain(world).notes[0].startswith("The baseline cannot be read")


def test_the_last_that_found_something_is_meant_unless_one_is_named(world, looked):
    with pytest.raises(NotFound, match="a report of"):
        explain(world)
    looked()
    looked(name="20260131T1000")
    assert explain(world).execution == "20260131T1000"
    assert explain(world, which="20260131T09").execution == "20260131T0900"
    with pytest.raises(NotFound, match="an execution 2025"):
        explain(world, which="2025")


@pytest.mark.parametrize("report", [[], {"violations": {}}, {"violations": [7, {}]}])
def test_a_report_that_is_none_is_refused_or_tells_nothing(world, looked, report):
    looked(report)
    if report == []:
        with pytest.raises(InvalidInput, match="is no document"):
            explain(world)
    else:
        assert {one.of for one in explain(world).causes} <= {""}


def test_batches_are_followed_to_who_made_them(world, looked):
    looked(config=baseline(world))
    world.put(
        "20260131T0900/inputs/data-1.manifest",
        json.dumps([{"prefix": f"s3://{BUCKET}/batch/"}, "rows.csv"]).encode(),
    )
    found = explain(world)
    assert "It looked at batches, of which no rows are shown." in found.notes
    assert found.changes == ()
