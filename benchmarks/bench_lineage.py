"""Recording what a job used and made, and walking a graph of 10,000 nodes."""

from __future__ import annotations

import itertools
import sqlite3
import tempfile
from contextlib import closing
from hashlib import sha256
from pathlib import Path

from figure import Figure, interleaved_s

from clary.adapters.sqlite import SqliteStore
from clary.kernel.clock import now
from clary.kernel.names import Ref
from clary.kernel.resource import ObjectInfo, Resource
from clary.lineage.entities import artifact_name
from clary.lineage.model import of_object
from clary.lineage.service import Lineage

JOBS, OUTPUTS = 2000, 4
_numbers = itertools.count(1_000_000)


def figures():
    """Measure ours, and SQLite alone inserting and joining as many bare rows."""
    with tempfile.TemporaryDirectory() as folder:
        store = SqliteStore(Path(folder) / "metadata.db")
        bare = sqlite3.connect(Path(folder) / "bare.db")
        with closing(store), closing(bare):
            bare.execute("CREATE TABLE edge (source TEXT, target TEXT)")
            bare.execute("CREATE TABLE node (name TEXT PRIMARY KEY, body TEXT)")
            bare.execute("CREATE INDEX outgoing ON edge (source)")
            start = fill(store, bare)
            return [recording(store, bare), walking(store, bare, start)]


def recording(store, bare):
    """Time the record of one job within an open transaction."""
    lineage = Lineage(store)

    def bare_rows():
        for name in [f"bare-{next(_numbers)}" for _ in range(1 + OUTPUTS)]:
            bare.execute("INSERT INTO node VALUES (?, ?)", (name, "{}"))
            bare.execute("INSERT INTO edge VALUES (?, ?)", ("job", name))

    with store.begin() as change:
        ours, alone = interleaved_s(300, lambda: record(lineage, change, next(_numbers)), bare_rows)
    reference = "SQLite, as many bare rows"
    return Figure(
        f"record a job of {1 + OUTPUTS} contents", ours * 1e3, "ms", 2, reference, alone * 1e3
    )


def walking(store, bare, start):
    """Time a walk from the first content to everything that came of it."""
    graph = Lineage(store).graph
    reached = (
        "WITH RECURSIVE r(n) AS (SELECT 'raw' UNION SELECT target FROM edge JOIN r ON source = n) "
        "SELECT name, body FROM r JOIN node ON name = n"
    )
    ours, alone = interleaved_s(
        3, lambda: graph.walk([start], "Both", 10), lambda: bare.execute(reached).fetchall()
    )
    reference = "SQLite, a recursive query"
    return Figure("walk 10,000 nodes", ours, "s", 1, reference, alone)


def fill(store, bare):
    """Store jobs that read one content and make some each; return that content's artifact."""
    lineage, at = Lineage(store), now()
    with store.begin() as change:
        for number in range(JOBS):
            change.insert(Resource(job(number), {}, at, at, "Completed"))
            made = record(lineage, change, number)
            bare.execute("INSERT INTO node VALUES (?, '{}')", (f"job-{number}",))
            bare.execute("INSERT INTO edge VALUES ('raw', ?)", (f"job-{number}",))
            for artifact in made:
                bare.execute("INSERT INTO node VALUES (?, '{}')", (artifact.uri,))
                bare.execute("INSERT INTO edge VALUES (?, ?)", (f"job-{number}", artifact.uri))
    bare.commit()
    raw = content("raw")
    return job(0).sibling("artifact", artifact_name(raw.uri, raw.digest))


def record(lineage, change, number):
    """Record a job that read one content and made some; return what it made."""
    made = [content(f"{number}/{output}") for output in range(OUTPUTS)]
    lineage.record(
        change,
        job(number),
        inputs=[("raw", content("raw"))],
        outputs=[("out", one) for one in made],
    )
    return made


def content(name):
    """Describe an object without storing it."""
    digest = sha256(name.encode()).hexdigest()
    return of_object(ObjectInfo("bucket", name, len(name), now(), digest, "etag"))


def job(number):
    """Name a job."""
    return Ref("123456789012", "us-east-1", "training-job", f"job-{number}")
