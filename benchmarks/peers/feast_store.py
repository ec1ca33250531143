"""Feast on a folder of its own: asked line by line for what it takes, in JSON.

Run by Feast's own interpreter with a folder and a number of entities. After `feast serve` is wanted
the folder is a feature repository as its documentation has it.
"""

import json
import random
import sys
import time
import warnings
from datetime import UTC, datetime, timedelta
from pathlib import Path

warnings.filterwarnings("ignore")

import pandas as pd  # noqa: E402 - its import warns
from feast import (  # noqa: E402 - the same
    Entity,
    FeatureStore,
    FeatureView,
    Field,
    FileSource,
    RequestSource,
)
from feast.on_demand_feature_view import on_demand_feature_view  # noqa: E402 - the same
from feast.types import Float64  # noqa: E402 - the same
from feast.value_type import ValueType  # noqa: E402 - the same

NAMES = [f"f{n}" for n in range(10)]
SETTINGS = """project: bench
registry: registry.db
provider: local
online_store:
    type: sqlite
    path: online.db
entity_key_serialization_version: 3
"""
AT = datetime(2026, 1, 1, tzinfo=UTC)


def frame(keys, at):
    """Make rows of floats."""
    rows = {"entity_id": keys, "event_timestamp": [at] * len(keys), "created": [at] * len(keys)}
    return pd.DataFrame(rows | {name: [random.random() for _ in keys] for name in NAMES})


def repository(folder):
    """Define what is measured."""
    (folder / "feature_store.yaml").write_text(SETTINGS)
    frame([0], AT).to_parquet(folder / "numbers.parquet")
    source = FileSource(
        path=str(folder / "numbers.parquet"),
        timestamp_field="event_timestamp",
        created_timestamp_column="created",
    )
    entity = Entity(name="entity", join_keys=["entity_id"], value_type=ValueType.INT64)
    view = FeatureView(
        name="numbers",
        entities=[entity],
        schema=[Field(name=name, dtype=Float64) for name in NAMES],
        source=source,
        ttl=timedelta(0),
    )
    asked = RequestSource(name="asked", schema=[Field(name="v", dtype=Float64)])

    @on_demand_feature_view(
        sources=[view, asked],
        schema=[Field(name=f"t{n}", dtype=Float64) for n in range(20)],
        mode="python",
        singleton=True,
    )
    def transformed(inputs):
        v = inputs["v"]
        return {
            f"t{n}": None if inputs[f"f{n % 10}"] is None else inputs[f"f{n % 10}"] * v + n
            for n in range(20)
        }

    @on_demand_feature_view(
        sources=[view, asked],
        schema=[Field(name=f"p{n}", dtype=Float64) for n in range(20)],
        mode="pandas",
    )
    def framed(inputs):
        columns = {f"p{n}": inputs[f"f{n % 10}"] * inputs["v"] + n for n in range(20)}
        return pd.DataFrame(columns)

    store = FeatureStore(repo_path=str(folder))
    store.apply([entity, view, transformed, framed])
    return store


class Measures:
    """What may be asked."""

    def __init__(self, store, entities):
        self._store = store
        self._entities = entities
        self._at = AT
        self._names = [f"numbers:{name}" for name in NAMES]
        self._more = self._names + [f"transformed:t{n}" for n in range(20)]
        self._framed = self._names + [f"framed:p{n}" for n in range(20)]

    def load(self, _):
        """Write all entities, a thousand at a time; return the seconds."""
        begin = time.perf_counter()
        for first in range(0, self._entities, 1000):
            self._write(range(first, first + 1000))
        return time.perf_counter() - begin

    def write(self, _):
        """Write a thousand random entities again."""
        keys = random.sample(range(self._entities), 1000)
        self._at += timedelta(seconds=1)
        begin = time.perf_counter()
        self._write(keys)
        return time.perf_counter() - begin

    def get(self, count):
        """Read so many entities at once."""
        return self._get(self._names, count)

    def get_transformed(self, count):
        """Read them with 20 transforms."""
        return self._get(self._more, count, v=1.5)

    def get_framed(self, count):
        """Read them with the same transforms on frames."""
        return self._get(self._framed, count, v=1.5)

    def _write(self, keys):
        self._store.write_to_online_store("numbers", frame(list(keys), self._at))

    def _get(self, names, count, **more):
        rows = [{"entity_id": random.randrange(self._entities)} | more for _ in range(count)]
        begin = time.perf_counter()
        found = self._store.get_online_features(features=names, entity_rows=rows).to_dict()
        took = time.perf_counter() - begin
        assert None not in found["f0"]
        return took


def main():
    folder, entities = Path(sys.argv[1]), int(sys.argv[2])
    measures = Measures(repository(folder), entities)
    answers = sys.stdout
    sys.stdout = sys.stderr
    for line in sys.stdin:
        name, count, runs = json.loads(line)
        took = [getattr(measures, name)(count) for _ in range(runs)]
        print(json.dumps(took), file=answers, flush=True)


main()
