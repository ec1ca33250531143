"""Flows that fill feature groups."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from clary.doors.python import flow_steps
from clary.doors.python.declared import declared
from clary.doors.python.handles import Output
from clary.doors.python.session import session
from clary.doors.python.tracing import current
from clary.features.model import FEATURE_GROUP
from clary.flows import local
from clary.flows.graphs import grown
from clary.flows.model import Flow, Node
from clary.flows.plans import ready
from clary.kernel.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Mapping

    from clary.doors.python.features import FeatureGroup
    from clary.doors.python.flow_arguments import Tables
    from clary.flows.bounds import Bounds
    from clary.flows.fitted import Fitted
    from clary.flows.reach import Reach


class Ingestions:
    """A flow whose rows become records."""

    document: Flow
    fitted: Fitted
    _node: str
    _bounds: Mapping[str, Bounds]

    def ingest(
        self,
        group: FeatureGroup | str,
        sources: Tables | None = None,
        *,
        learned: Any = None,
        **options: Any,
    ) -> Any:
        """Write these rows to a feature group, which then knows the flow it came from.

        Within a pipeline it is a step, which gives the path of the rows as Parquet. They are
        written when all of them are computed and each is right, 10,000 at a time, by the platform:
        the step itself has no access to the group. A step that was killed meanwhile goes on where
        it was; online nothing shows of that, history may have up to 10,000 rows twice.

        Parameters
        ----------
        group
            The group, or its name.
        sources
            Rows of sources, by name; in a pipeline also results of steps and parameters.
        learned
            In a pipeline, what a ``fit_step`` gave, instead of what the flow has learned.
        options
            In a pipeline, those of ``clary.step``.

        Returns
        -------
        Mapping[int, InvalidInput]
            Outside of a pipeline, where the rows are written at once: nothing was wrong.

        Raises
        ------
        NotFound
            There is no such group.
        InvalidInput
            The rows have a column that is no feature, or none of the identifier or event time; or
            a row is wrong: nothing is written; names row and feature.
        """
        name = group if isinstance(group, str) else group.name
        if current() is not None:
            return self._ingesting(name, sources or {}, learned, options)
        if learned is not None or options:
            problem = f"{', '.join(options) or 'learned'} is for the step of a pipeline"
            raise InvalidInput("ingest", problem, legal="in a @clary.pipeline")
        nodes = tuple(x for x in self.document.nodes if x.operator != "destination")
        written = Node(name, "destination", {"feature_group": name}, (self._node,))
        flow = grown(Flow(nodes, self.document.parameters), written)[0]
        given = self._given(sources)
        _, self.fitted = local.run(local.set_values(flow, {}), self.fitted, given, self._reach)
        return {}

    def _ingesting(
        self, group: str, tables: Tables, learned: Any, options: Mapping[str, Any]
    ) -> Any:
        here, flow = session(), local.set_values(self.document, {})
        known = here.platform.features.group(here.ref(FEATURE_GROUP, group))
        nodes = {one.id for one in flow.until(self._node)}
        if learned is None and nodes <= self.fitted.nodes.keys():
            known.require(ready(flow, self._node, self.fitted)[-1].columns)
        given = flow_steps.by_name(flow, self._node, tables, self._bounds)
        step = flow_steps.ingesting(
            flow, self.fitted, self._node, {**options, "feature_group": group}
        )
        kept = {} if learned is None else {"learned": learned}
        return step(*map(_as_file, given), **kept)

    def _given(self, sources: Tables | None) -> Tables:
        """Give the rows of sources."""
        raise NotImplementedError

    @property
    def _reach(self) -> Reach:
        """Say what the flow may use."""
        raise NotImplementedError


def _as_file(given: Any) -> Any:
    """Read a table of a step from its file, in part; one of pandas may have an index beside."""
    if isinstance(given, Output) and given.declared.library in {"pyarrow", "polars"}:
        return Output(given.call, given.name, declared(Path))
    return given
