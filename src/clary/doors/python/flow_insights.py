"""What the rows of a flow tell."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager

    from clary.flows.batch import Batch
    from clary.flows.insights.analyses import Finding
    from clary.flows.insights.report import Report

    Tables = Mapping[str, Any]


class Insights:
    """Analyses of the rows of a flow, and the report on them."""

    _node: str

    def _opened(self, sources: Tables | None) -> AbstractContextManager[Batch]:
        """Open the flow on the rows of its sources."""
        raise NotImplementedError

    def analyse(self, name: str, sources: Tables | None = None, **parameters: Any) -> Finding:
        """Analyse these rows: ``histogram``, ``scatter``, ``correlation``, ``quick_model``, ….

        The finding has a ``document``, and ``to_html(title)`` draws it.
        """
        with self._opened(sources) as batch:
            insights = import_module("clary.flows.insights.analyses")  # they take a second
            found: Finding = insights.analyse(
                f"analysis.{name.removeprefix('analysis.')}", batch.rows(self._node), parameters
            )
        return found

    def report(
        self,
        target: str = "",
        *,
        problem: Literal["", "classification", "regression"] = "",
        sources: Tables | None = None,
    ) -> Report:
        """Report on the quality of these rows and what they tell of a target.

        The report has ``warnings``, ``to_html()`` and ``to_json()``.
        """
        with self._opened(sources) as batch:
            insights = import_module("clary.flows.insights.report")
            found: Report = insights.report(batch.rows(self._node), target=target, problem=problem)
        return found
