"""A store with jobs, packages and executions as their slices write them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import pytest

from clary.adapters.sqlite import SqliteStore
from clary.kernel.clock import now
from clary.kernel.names import Ref, arn
from clary.kernel.resource import Event, Link, ObjectInfo, Resource
from clary.lineage.entities import entity_of
from clary.lineage.model import of_object
from clary.lineage.registrations import Registrations
from clary.lineage.service import Lineage

START = now()


def ref(kind, name, version=0):
    return Ref("123456789012", "us-east-1", kind, name, version)


def content(name, uri=""):
    """An object whose content is its name, at ``s3://b/<uri or name>``."""
    digest = name.encode().hex().ljust(64, "0")
    return of_object(ObjectInfo("b", uri or name, len(name), START, digest, "e"))


@dataclass
class World:
    """Things that happen."""

    store: SqliteStore
    lineage: Lineage
    minute: int = 0

    def _at(self):
        self.minute += 1
        return START + timedelta(minutes=self.minute)

    def job(self, name, *, uses=(), makes=(), kind="training-job", parent=None, component=True):
        subject, at = ref(kind, name), self._at()
        with self.store.begin() as change:
            change.insert(Resource(subject, {}, at, at, "Completed", parent))
            self.lineage.record(
                change,
                subject,
                inputs=[(one, content(one)) for one in uses],
                outputs=[(one, content(one)) for one in makes],
            )
            if component:
                source = {"source": {"SourceArn": arn(subject)}}
                change.insert(Resource(entity_of(subject), source, at, at))
        return entity_of(subject)

    def execution(self, name, status="Executing"):
        execution, at = ref("pipeline-execution", name), self._at()
        with self.store.begin() as change:
            change.insert(Resource(execution, {}, at, at, status))
            change.append(Event(at, "ada", "pipeline-execution.created", execution))
        self.follow()
        return execution

    def package(self, version, *, uses=(), approval="Approved", execution=None, image=""):
        group, package = ref("model-package-group", "g"), ref("model-package", "g", version)
        at = self._at()
        containers = [{"Image": image}] if image else []
        request = {"InferenceSpecification": {"Containers": containers}}
        with self.store.begin() as change:
            change.insert(Resource(package, {"request": request}, at, at, "Completed", group))
            self.lineage.record(change, package, inputs=[("model", content(one)) for one in uses])
            if execution:
                change.link(Link(execution, "Produced", package))
            detail = {"ModelApprovalStatus": approval}
            change.append(Event(at, "ada", "model-package.created", package, detail))
        self.follow()
        return entity_of(package)

    def follow(self):
        """Let the follower read the whole journal, as after a kill: once more."""
        with self.store.begin() as change:
            Registrations(self.store).follow(self.store.events(), change)


@pytest.fixture
def world(tmp_path):
    store = SqliteStore(tmp_path / "metadata.db")
    yield World(store, Lineage(store))
    store.close()
