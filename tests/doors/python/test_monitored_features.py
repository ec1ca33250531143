"""Feature groups as data that monitoring looks at."""

from __future__ import annotations

import pandas as pd

import clary
from clary import monitoring
from clary.doors.python.session import connect


def test_a_feature_group_is_a_baseline_and_is_checked(session):
    assert connect(session.home) is session
    group = clary.FeatureGroup(
        "people",
        identifier="id",
        event_time="at",
        features={"id": int, "at": float, "age": int},
    )
    group.ingest(pd.DataFrame({"id": [1, 2, 3], "at": 1.0, "age": [30, 40, 50]}))
    held = monitoring.baseline(group)
    assert {one.name for one in held.statistics.features} >= {"id", "age"}
    assert monitoring.check(group, held).is_ok
    for number in (4, 5):
        group.put({"id": number, "at": 1.0})
    kinds = {
        (one.feature_name, one.constraint_check_type)
        for one in monitoring.check(group, held).violations
    }
    assert ("age", "completeness_check") in kinds
