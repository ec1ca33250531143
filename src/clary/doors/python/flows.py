"""``clary.Flow``: data wrangled by steps that are made once and run anywhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from os import PathLike, fspath
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Literal, Self

import msgspec

from clary.doors.python import flow_arguments, flow_steps
from clary.doors.python.flow_exports import Exports
from clary.doors.python.flow_homes import stored
from clary.doors.python.flow_ingestions import Ingestions
from clary.doors.python.flow_insights import Insights
from clary.doors.python.flow_methods import Methods
from clary.doors.python.flow_models import Inference
from clary.doors.python.flow_readers import Readers
from clary.doors.python.flow_rows import Rows
from clary.doors.python.flow_schedules import Schedules
from clary.doors.python.tracing import current
from clary.flow_programs import reach
from clary.flows import documents, files, local
from clary.flows.bounds import Bounds
from clary.flows.fitted import NOTHING, Fitted, read, write
from clary.flows.graphs import EMPTY, grown, merged, renamed
from clary.flows.kept import Kept
from clary.flows.model import Node, Parameter
from clary.flows.serving import Served, Server
from clary.kernel.codec import to_json
from clary.kernel.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    import pyarrow as pa

    from clary.doors.python.features import FeatureGroup
    from clary.doors.python.flow_arguments import Tables
    from clary.doors.python.flow_readers import Place
    from clary.doors.python.session import Session
    from clary.doors.python.steps import Step
    from clary.flows import model
    from clary.flows.batch import Batch
    from clary.flows.reach import Reach
    from clary.kernel.ports import JsonObject

_PREVIEWED = Kept()
Limits = Mapping[str, Bounds]
"""Where nodes that were loaded from a file may read and write."""


class Flow(Readers, Methods, Exports, Ingestions, Insights, Schedules):
    """Rows of a source, and what becomes of them.

    Every method that transforms gives a new flow; the one it is called on stays as it is, so
    that flows branch and join. Nothing is read before ``fit``, ``preview`` or ``run``.

    Parameters
    ----------
    table
        A pandas or Polars frame, an Arrow table, a list of records; or the name of a source whose
        rows are given when the flow runs.
    name
        What the source is called.

    Attributes
    ----------
    document
        The nodes, as they are saved.
    fitted
        What they have learned.
    tables
        Rows of sources that are in this process, by name.

    Examples
    --------
    >>> flow = Flow([{"age": 20, "city": "Rome"}, {"age": 40, "city": None}])
    >>> flow.formula("age / 10.0", "decades").drop("age").operators
    ['source', 'columns.formula', 'columns.drop']
    """

    def __init__(self, table: Any, *, name: str = "source") -> None:
        is_named = isinstance(table, str)
        self.document, self._node = grown(EMPTY, Node(table if is_named else name, "source"))
        self.fitted = NOTHING
        self.tables: Tables = {} if is_named else {self._node: table}
        self._bounds: Limits = {}
        self._server: tuple[Fitted, Server] | None = None
        self._step: tuple[Fitted, Step[..., Any]] | None = None

    @classmethod
    def load(cls, path: Place, *, node: str = "", allow: Sequence[Place] = ()) -> Self:
        """Open a flow: one of ours, with what it has learned, or a ``.flow`` of Data Wrangler.

        Its own nodes read and write below the folder of the file and the current one; rows that
        you give, and what you add to it, may be anywhere.

        Parameters
        ----------
        node
            The node whose rows are wanted; the last by default.
        allow
            What its nodes may reach too: folders, ``s3://…``, ``feature-group:NAME``.

        Raises
        ------
        InvalidInput
            It is no flow; names the node, and what is wrong with it.
        """
        flow, fitted = files.read(path)
        bounds = dict.fromkeys((one.id for one in flow.nodes), Bounds.of(path, allow))
        return cls._of(flow, fitted, flow.node(node).id if node else files.last(flow), {}, bounds)

    def save(self, path: Place) -> Path:
        """Write the flow, as ``.flow`` where the path ends so; what it has learned goes beside it.

        Rows of this process are not written: give them by the name of their source when the flow
        is loaded.
        """
        return files.write(path, self.document, self.fitted)

    @property
    def name(self) -> str:
        """The node whose rows these are."""
        return self._node

    @property
    def operators(self) -> list[str]:
        """What happens on the way to these rows, in order."""
        before = {one.id for one in self.document.until(self._node)}
        written = (x for x in self.document.nodes if x.operator == "destination")
        before.update(one.id for one in written if not before.isdisjoint(one.inputs))
        return [one.operator for one in self.document.nodes if one.id in before]

    def node(self, name: str) -> Self:
        """Give the flow at another of its nodes. Raises InvalidInput."""
        self.document.node(name)
        return self._of(self.document, self.fitted, name, self.tables, self._bounds)

    def called(self, name: str) -> Self:
        """Call the last node otherwise.

        Raises
        ------
        InvalidInput
            There is such a node.
        """
        flow, fitted = renamed(self.document, self.fitted, {self._node: name})
        tables, bounds = (
            {name if one == self._node else one: x for one, x in held.items()}
            for held in (self.tables, self._bounds)
        )
        return self._of(flow, fitted, name, tables, bounds)

    def parameter(self, name: str, value: str | float | None = None) -> Self:
        """Give a parameter a value; texts of nodes hold it as ``{{name}}``."""
        made = {**self.document.parameters, name: Parameter(value)}
        flow = msgspec.structs.replace(self.document, parameters=made)
        return self._of(flow, self.fitted, self._node, self.tables, self._bounds)

    def then(self, operator: str, parameters: Mapping[str, Any], *others: Flow) -> Self:
        """Add a node of any operator, with its parameters as a flow's document has them."""
        name = operator.rpartition(".")[2]
        return self._add(Node(name, operator, dict(parameters)), others)

    def write(self, path: Place | FeatureGroup, **options: Any) -> Self:
        """Write these rows when the flow runs: to a file, ``s3://…`` or a feature group."""
        if isinstance(path, str | PathLike):
            to = {"path": fspath(path)}
        else:
            to = {"feature_group": path.name}
        return self.then("destination", {**to, **options}).node(self._node)

    def fit(self, sources: Tables | None = None, *, refit: bool = False) -> Self:
        """Learn of all rows what the transforms need; what was learned before is kept.

        Parameters
        ----------
        sources
            Rows of sources, by the name of the source or of its file: frames, or paths.
        refit
            Learn everything anew.
        """
        learned = NOTHING if refit else self.fitted
        self.fitted = local.fitted(
            self._filled, self._node, learned, self._given(sources), self._reach
        )
        return self

    def preview(self, rows: int = 20, sources: Tables | None = None) -> Rows:
        """Compute some rows."""
        return Rows(self._table(sources, rows))

    def to_arrow(self, sources: Tables | None = None) -> pa.Table:
        """Compute all rows, as an Arrow table."""
        return self._table(sources, None)

    def to_pandas(self, sources: Tables | None = None) -> Any:
        """Compute all rows, as a pandas frame."""
        return Rows(self.to_arrow(sources)).to_pandas()

    def to_polars(self, sources: Tables | None = None) -> Any:
        """Compute all rows, as a Polars frame."""
        return Rows(self.to_arrow(sources)).to_polars()

    def run(self, sources: Tables | None = None, *, refit: bool = False) -> list[local.Written]:
        """Write what every destination gets.

        Parameters
        ----------
        sources, refit
            As for ``fit``.

        Raises
        ------
        InvalidInput
            The flow has no destination: ``write`` adds one.
        """
        learned = NOTHING if refit else self.fitted
        given = self._given(sources)
        written, self.fitted = local.run(self._filled, learned, given, self._reach)
        return written

    def record(self, values: Mapping[str, Any]) -> dict[str, Any] | None:
        """Transform one record by what was learned; None where the flow drops it.

        Raises
        ------
        NotSupported
            A node needs more than one record; names it.
        InvalidInput
            The flow has not been fitted, or a value does not fit; names the column.
        """
        if self._server is None or self._server[0] is not self.fitted:
            self._server = (self.fitted, self._served().open())
        return self._server[1].record(values)

    def inference(
        self,
        *,
        absent: Sequence[str] = (),
        accept: Literal["text/csv", "application/json"] = "text/csv",
    ) -> Inference:
        """Give what comes before a model: ``deploy([flow.inference(absent=["age"]), model], …)``.

        Parameters
        ----------
        absent
            Columns that requests do not have, such as the label.
        accept
            What the model takes: CSV without a header, or a frame as JSON.

        Raises
        ------
        NotSupported
            A node needs more than one record; names it.
        InvalidInput
            The flow has not been fitted.
        """
        return Inference(self._served(absent), accept)

    def container(self, session: Session) -> JsonObject:
        """Pack what was learned as a container of a model; see ``inference``."""
        return self.inference().container(session)

    def step(self, *, refit: bool = False, **options: Any) -> Step[..., Any]:
        """Make a step of a pipeline, which takes the rows of the sources and gives these rows.

        What the flow has learned is kept, the rest is learned in the step; with ``refit``, all
        is; with ``learned``, what a ``fit_step`` gave, nothing is. Options are those of
        ``clary.step``.
        """
        learned = NOTHING if refit else self.fitted
        return flow_steps.rows(self._filled, learned, self._node, options)

    def with_learned(self, learned: Mapping[str, Any]) -> Self:
        """Give the flow with what a ``fit_step`` has learned. Raises InvalidInput."""
        known = read(to_json(learned))
        return self._of(self.document, known, self._node, self.tables, self._bounds)

    def fit_step(self, **options: Any) -> Step[..., Any]:
        """Make a step of a pipeline that gives what the flow learns of rows, as JSON."""
        return flow_steps.learning(self._filled, self._node, options)

    def __call__(self, *tables: Any, learned: Any = None) -> Any:
        """Compute these rows for other rows of the sources, in order; in a pipeline, as a step."""
        if current() is None:
            names = flow_steps.sources(self.document, self._node)
            if len(tables) > len(names):
                problem = f"{len(tables)} tables are given"
                raise InvalidInput("tables", problem, legal=f"at most {len(names)}: {names}")
            flow = self if learned is None else self.with_learned(learned)
            return flow.to_arrow(dict(zip(names, tables, strict=False)))
        given = flow_steps.arguments(self.document, self._node, tables, self._bounds)
        if self._step is None or self._step[0] is not self.fitted:
            self._step = (self.fitted, self.step())
        return self._step[1](*given, **({} if learned is None else {"learned": learned}))

    def _then(self, operator: str, given: Mapping[str, Any], others: Sequence[Flow] = ()) -> Self:
        return self._add(flow_arguments.node(operator, given), others)

    def _add(self, node: Node, others: Sequence[Flow] = ()) -> Self:
        flow, fitted, tables = self.document, self.fitted.nodes, dict(self.tables)
        bounds = dict(self._bounds)
        inputs = [self._node]
        for other in others:
            if not isinstance(other, Flow):
                problem = f"a {type(other).__name__} is no flow"
                raise InvalidInput(node.operator, problem, legal="a flow: clary.Flow(rows)")
            apart = [one for one, x in other.tables.items() if tables.get(one) is not x]
            flow, learned, names = merged(flow, other.document, other.fitted, apart=apart)
            fitted = {**learned.nodes, **fitted}
            tables |= {names[one]: x for one, x in other.tables.items()}
            bounds |= {names[one]: x for one, x in other._bounds.items()}  # noqa: SLF001 - of its own
            inputs.append(names[other.name])
        flow, name = grown(flow, msgspec.structs.replace(node, inputs=tuple(inputs)))
        return self._of(flow, Fitted(fitted), name, tables, bounds)

    @classmethod
    def _begun(cls, given: dict[str, Any], name: str) -> Self:
        made = cls(name or PurePath(given.get("path", "")).stem or "source")
        [node] = made.document.nodes
        made.document = msgspec.structs.replace(
            made.document, nodes=(msgspec.structs.replace(node, with_=given),)
        )
        return made

    @property
    def _reach(self) -> Reach:
        return reach(stored, self._bounds)

    @property
    def _filled(self) -> model.Flow:
        return local.set_values(self.document, {})

    def _opened(self, sources: Tables | None) -> AbstractContextManager[Batch]:
        given = self._given(sources)
        return local.opened(self._filled, self._node, self.fitted, given, self._reach)

    def _table(self, sources: Tables | None, limit: int | None) -> pa.Table:
        given, around = self._given(sources), self._reach
        if limit is not None:
            around = replace(around, kept=_PREVIEWED)
        found = local.table(self._filled, self._node, self.fitted, given, around, limit=limit)
        self.fitted = found[1]
        return found[0]

    def _served(self, absent: Sequence[str] = ()) -> Served:
        return Served(documents.write(self._filled), write(self.fitted), self._node, tuple(absent))

    def _given(self, sources: Tables | None) -> Tables:
        names = flow_steps.sources(self.document, self._node)
        return flow_arguments.by_source(sources, self.tables, names)

    @classmethod
    def _of(
        cls, flow: model.Flow, fitted: Fitted, node: str, tables: Tables, bounds: Limits
    ) -> Self:
        made = cls(node)
        vars(made).update(document=flow, fitted=fitted, tables=dict(tables), _bounds=bounds)
        return made

    def __repr__(self) -> str:
        return f"<Flow {' → '.join(self.operators)}>"
