"""The proof of what endpoints served: their requests, replayed by the views they are asked by."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from clary.endpoints import body
from clary.endpoints.viewed import ENDPOINT_WORD, VARIANT_WORD, VIEW_VARIABLE, view_of
from clary.features.skew import Report
from clary.kernel.errors import InvalidInput, NotFound

if TYPE_CHECKING:
    from collections.abc import Mapping

    from clary.features.fact_queries import Wanted
    from clary.features.view_log import ViewLog
    from clary.kernel.names import Ref
    from clary.kernel.resource import Resource


def views_of(endpoint: Resource) -> Mapping[str, Ref]:
    """Name the version of a view that each variant is asked by; not those that have none."""
    served = body.read(endpoint).served
    variants = served.variants if served else ()
    found = {one.name: view_of(one.stages, endpoint.ref) for one in variants}
    return {name: view for name, view in found.items() if view is not None}


def skew(endpoint: Resource, log: ViewLog, wanted: Wanted, *, with_source: bool = True) -> Report:
    """Replay what an endpoint served through the views that its variants have now, and compare.

    Raises
    ------
    InvalidInput
        No variant is asked by keys.
    NotFound
        It has served nothing that was logged.
    """
    views = views_of(endpoint)
    if not views:
        problem = f"no variant of {endpoint.ref.name} has a feature view"
        raise InvalidInput("endpoint", problem, legal=f"one whose model says {VIEW_VARIABLE}")
    report = Report()
    for variant, view in views.items():
        words = {ENDPOINT_WORD: endpoint.ref.name, VARIANT_WORD: variant}
        asked = replace(wanted, context={**wanted.context, **words})
        report.merge(log.compared(view, asked, with_source=with_source))
    if not report.requests:
        raise NotFound(f"a logged request of {endpoint.ref}", hint="requests with keys are logged")
    return report
