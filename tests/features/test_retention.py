"""What has run out is removed, and time travel says so."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest

import clary
from clary.doors.python.session import connect
from clary.features.expiry import EXPIRY
from clary.kernel.clock import now
from clary.kernel.names import Ref

DAY = timedelta(days=1)
_names = iter(range(100))


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    with connect(tmp_path_factory.mktemp("retention") / "home") as opened:
        yield opened


@pytest.fixture
def group(session):
    made = clary.FeatureGroup(
        f"people-{next(_names)}",
        identifier="id",
        event_time="at",
        features={"id": int, "at": float, "age": int},
    )
    for days in (40, 20, 1):
        made.put({"id": days, "at": now() - days * DAY, "age": days})
    return made


def expire(session):
    place = Ref("", "", EXPIRY, "hourly")
    expiry = session.platform.feature_store.expiry
    assert expiry.run(session.platform.store.get(place), threading.Event()) > now()


def ages(group):
    return sorted(group.frame()["age"].tolist())


def test_rows_past_their_retention_are_removed_and_that_is_told(session, group):
    labels = pd.DataFrame({"id": [40], "event_time": [now() - 30 * DAY]})
    name = f"set-{group.name}"
    made = clary.features.training_set(labels, [f"{group.name}.age"], name=name)
    group.keep(30 * DAY)
    assert ages(group) == [1, 20, 40]
    expire(session)
    assert ages(group) == [1, 20]
    kept = group.describe()["retention"]
    assert kept["rows"] == 1
    assert kept["version"] > 0
    with pytest.raises(clary.InvalidInput, match="were removed by its retention"):
        group.frame(at=datetime.now(UTC) - 35 * DAY)
    assert group.frame(at=datetime.now(UTC) - 10 * DAY)["age"].tolist() == [20]
    late = labels.assign(event_time=[now() - 31 * DAY])
    with pytest.raises(clary.InvalidInput, match=f"rows of '{group.name}' from before .* removed"):
        clary.features.training_set(late, [f"{group.name}.age"])
    [found] = clary.features.training_set(
        labels.assign(id=[20], event_time=[now() - 10 * DAY]), [f"{group.name}.age"], form="arrow"
    ).to_pylist()
    assert found[f"{group.name}.age"] == 20
    sets = session.platform.feature_store.training_sets
    again = sets.reproduce(session.ref("training-set", name))
    assert again.to("pandas").equals(made)
    expire(session)
    assert group.describe()["retention"] == kept
    actions = [one.action for one in session.platform.store.events(ref=group._ref)]
    assert actions.count("feature-group.rows-removed") == 1
    group.keep(None)
    group.put({"id": 41, "at": now() - 41 * DAY, "age": 41})
    expire(session)
    assert ages(group) == [1, 20, 41]


def test_a_kill_between_removing_and_telling_hides_nothing(session, group, monkeypatch):
    store = session.platform.feature_store
    group.keep(30 * DAY)
    monkeypatch.setattr(store.offline, "compact", _die)
    with pytest.raises(KeyboardInterrupt):
        store.retention.remove(session.platform.features.group(group._ref))
    monkeypatch.undo()
    with pytest.raises(clary.InvalidInput, match="were removed"):
        group.frame(at=datetime.now(UTC) - 35 * DAY)
    assert store.retention.remove(session.platform.features.group(group._ref)) == 1
    assert group.describe()["retention"]["rows"] == 1


def _die(*args, **options):
    raise KeyboardInterrupt


@pytest.mark.parametrize("age", [timedelta(hours=1), timedelta(days=40_000)])
def test_ages_have_bounds(group, age):
    with pytest.raises(clary.InvalidInput, match="1 to 36525 days"):
        group.keep(age)


def test_expired_online_records_are_swept(session):
    made = clary.FeatureGroup(
        "short", identifier="id", event_time="at", features={"id": int}, ttl=DAY
    )
    made.put({"id": 1, "at": "2026-01-01T00:00:00Z"})
    made.put({"id": 2, "at": now().isoformat().replace("+00:00", "Z")})
    online = session.platform.feature_store.online
    table = session.platform.features.group(made._ref).online_table
    assert online.count(table) == 2
    expire(session)
    assert online.count(table) == 1
    assert made.get(2) is not None
