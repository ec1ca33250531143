"""Feature views as Python has them: define one, ask it, train on it, write it down."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from clary.features.fact_queries import Wanted as FactsWanted
from clary.features.fact_queries import since as since_us
from clary.features.scheduled_tasks import MATERIALIZE
from clary.features.training_sets import TRAINING_SET, Wanted, new_name
from clary.features.view_log import unversioned
from clary.features.views import VIEW
from clary.kernel.errors import JobFailed
from clary.kernel.resource import Query

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from clary.doors.python.session import Session
    from clary.features.model import Value
    from clary.features.point_in_time import Form
    from clary.features.skew import Report
    from clary.kernel.names import Ref
    from clary.kernel.ports import JsonObject

_PAUSE_S = 0.02
_PAGE = 1_000


class Views:
    """The feature views of a session."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def define(
        self,
        name: str,
        features: Mapping[str, Any],
        *,
        sources: Mapping[str, Sequence[str] | Mapping[str, str]] | None = None,
        aggregates: Mapping[str, Mapping[str, str]] | None = None,
        inputs: Mapping[str, str] | None = None,
        ttl_s: int | None = None,
    ) -> FeatureView:
        """Define a view; the same definition is the same version, another is the next.

        Parameters
        ----------
        features
            What it gives, by name: expressions, as text or built with ``clary.expressions``.
        sources
            By group, the features whose latest values are columns, or those with their names here.
        aggregates
            Columns over windows: ``{"group": …, "function": …, "of": …, "window": "7d"}`` by name.
        inputs
            What a request brings: ``Integral``, ``Fractional`` or ``String``, by name.
        ttl_s
            How long what is written down counts online.

        Raises
        ------
        InvalidInput
            It makes no sense; names the place in the definition.
        NotFound
            A group does not exist.
        """
        definition: JsonObject = {
            "features": {key: str(made) for key, made in features.items()},
            "sources": {key: _plain(columns) for key, columns in (sources or {}).items()},
            "aggregates": {key: dict(one) for key, one in (aggregates or {}).items()},
            "inputs": dict(inputs or {}),
            "ttl_s": ttl_s,
        }
        views = self._session.platform.feature_store.views
        made = views.define(self._session.ref(VIEW, name), definition, actor=self._session.actor)
        self._session.work()
        return FeatureView(self._session, made.ref)

    def get(self, name: str, version: int = 0) -> FeatureView:
        """Find a version of a view, the latest unless it is said. Raises NotFound."""
        near = self._session.ref(VIEW, name)
        views = self._session.platform.feature_store.views
        found = views.describe(near.sibling(VIEW, name, version))
        return FeatureView(self._session, found.ref)

    def list(self) -> Sequence[FeatureView]:
        """List the latest 1,000 versions of views, by name."""
        near = self._session.ref(VIEW, "")
        query = Query(
            VIEW, near.account, near.region, sort_by="name", descending=False, limit=_PAGE
        )
        found = self._session.platform.feature_store.views.list(query).items
        return [FeatureView(self._session, one.ref) for one in found]


class FeatureView:
    """A version of a view."""

    def __init__(self, session: Session, ref: Ref) -> None:
        self._session = session
        self._store = session.platform.feature_store
        self.ref = ref

    @property
    def name(self) -> str:
        """What it is called."""
        return self.ref.name

    @property
    def version(self) -> int:
        """Which version it is."""
        return self.ref.version

    @property
    def definition(self) -> JsonObject:
        """What it was defined as."""
        return dict(self._store.views.describe(self.ref).body["definition"])

    def wait(self) -> FeatureView:
        """Wait until its aggregates hold all rows that there were when it was defined."""
        while self._store.views.describe(self.ref).status == "Creating":
            time.sleep(_PAUSE_S)
        return self

    def vector(
        self,
        entity: Mapping[str, object],
        inputs: Mapping[str, Any] | None = None,
        *,
        logged: bool = False,
    ) -> dict[str, Value]:
        """Compute the features of one entity now.

        Parameters
        ----------
        entity
            Keys by identifier.
        inputs
            What the request brings; absent ones are missing.
        logged
            Keep what it was computed from, so that ``skew`` can compare it.
        """
        asked = self._store.view_log if logged else self._store.views
        return asked.vector(self.ref, entity, inputs)

    def training_set(
        self,
        labels: Any,
        *,
        time: str = "event_time",
        known_at: datetime | None = None,
        name: str = "",
        form: Form = "pandas",
        to: str = "",
    ) -> Any:
        """Join labels with the features as they were at the labels' times.

        Parameters
        ----------
        labels
            An Arrow table, a pandas or a Polars frame, with the identifiers, the time, and the
            inputs.
        time
            The column of the times.
        known_at
            Only what had been written until then counts.
        name
            What the training set is called, to make it again.
        form
            ``pandas``, ``polars`` or ``arrow``.
        to
            An ``s3://….parquet`` where it is written down too: a model that is trained on that
            knows this version of the view.
        """
        wanted = Wanted([], time=time, known_at=known_at)
        made = self._session.ref(TRAINING_SET, name or new_name())
        actor = self._session.actor
        found = self._store.views.training_set(self.ref, made, labels, wanted, actor=actor)
        if to:
            self._store.exports.write(found, to, actor=actor)
        return found.to(form)

    def skew(self, *, hours: float = 0, request: str = "", logged_only: bool = False) -> Report:
        """Replay what any version of it served with its log through this one, and compare.

        See ``Endpoint.skew``; a request's id is what its log says.
        """
        self._store.facts.flush()
        wanted = FactsWanted(start_us=since_us(hours), request_id=request)
        return self._store.view_log.skew(self.ref, wanted, with_source=not logged_only)

    def materialize(self, since: datetime | None = None) -> str:
        """Write the features of all entities with changes since a time down, and wait for it.

        Returns
        -------
        str
            The feature group that they are in.

        Raises
        ------
        JobFailed
            It failed; says why.
        """
        work = self._store.materializations
        started = work.start(self.ref, since, actor=self._session.actor)
        self._session.work()
        while (found := work.describe(started.ref)).status == "InProgress":
            time.sleep(_PAUSE_S)
        if found.status == "Failed":
            raise JobFailed(found.ref, found.body["reason"])
        return str(found.body["group"])

    def materialize_every(self, when: str | None) -> None:
        """Write the latest version down at once, and then again and again what has changed.

        A worker does it: of this session while it is open, or of a server of the home.

        Parameters
        ----------
        when
            ``rate(1 hour)`` or ``cron(0 8 ? * MON-FRI *)``, in UTC; None: not any more.

        Raises
        ------
        InvalidInput
            It is no time, or the view cannot be written down.
        NotFound
            It is to end, and never began.
        """
        schedules, actor = self._store.schedules, self._session.actor
        of = unversioned(self.ref)
        if when is None:
            schedules.delete(of, MATERIALIZE, actor=actor)
            return
        schedules.put(of, MATERIALIZE, when, actor=actor)
        self._session.work()

    def __repr__(self) -> str:
        return f"FeatureView({self.name!r}, version={self.version})"


def _plain(columns: Sequence[str] | Mapping[str, str]) -> Any:
    return dict(columns) if isinstance(columns, Mapping) else list(columns)
