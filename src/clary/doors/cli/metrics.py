"""clary metrics."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer

from clary.doors.cli.homes import open_home
from clary.doors.cli.options import Home, Json, Limit, new_app
from clary.doors.cli.output import show_rows
from clary.kernel.clock import now
from clary.kernel.errors import NotFound
from clary.metrics.model import Metric, Tally
from clary.metrics.ports import Selection
from clary.metrics.windows import check_statistic, statistic
from clary.platform import Platform

app = new_app(several=True)
_LISTED_S = 14 * 86_400
_BARS = "▁▂▃▄▅▆▇█"
_WIDEST = 60
_MOST = 1_000


@app.command("list")
def list_(
    namespace: Annotated[str, typer.Argument(help="Only metrics of this namespace.")] = "",
    home: Home = None,
    limit: Limit = 100,
    as_json: Json = False,
) -> None:
    """List the metrics that had values in the last two weeks."""
    platform = open_home(home)
    found = _select(platform, namespace=namespace or None, limit=limit)
    rows = [
        {
            "namespace": one.namespace,
            "metric": one.name,
            "dimensions": _dimensions(one),
            "unit": one.unit,
        }
        for one in found
    ]
    show_rows(rows, as_json=as_json, empty="no metrics yet")


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="The metric: ModelLatency, Invocations, …")],
    stat: Annotated[
        str, typer.Option(help="Average, Sum, Minimum, Maximum, SampleCount, p50, p99.9, …")
    ] = "Average",
    minutes: Annotated[int, typer.Option(min=1, max=21_600, help="How far to look back.")] = 60,
    period: Annotated[
        int, typer.Option(help="Seconds of a point: 10, 20, 30 or a multiple of 60.")
    ] = 60,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Show how a metric went lately, for each of its dimensions."""
    check_statistic(stat, field="--stat")
    platform = open_home(home)
    found = _select(platform, name=name, limit=_MOST)
    if not found:
        raise NotFound(f"metric {name}", hint="`clary metrics list` shows which there are")
    end = now()
    start = end - timedelta(minutes=minutes)
    rows = [
        row
        for one in found
        if (row := _row(platform, one, stat, (start, end, period), as_json=as_json))
    ]
    show_rows(rows, as_json=as_json, empty=f"{name} has no values in the last {minutes} minutes")


def _select(
    platform: Platform, *, namespace: str | None = None, name: str | None = None, limit: int
) -> list[Metric]:
    config = platform.config
    since = int(now().timestamp()) - _LISTED_S
    account = platform.governance.owner.account
    wanted = Selection(account, config.region, namespace, name, active_since=since, limit=limit)
    return list(platform.metrics.list(wanted))


def _row(
    platform: Platform,
    metric: Metric,
    stat: str,
    when: tuple[datetime, datetime, int],
    *,
    as_json: bool,
) -> dict[str, Any]:
    start, end, period_s = when
    tallies = platform.metrics.tallies(metric, start=start, end=end, period_s=period_s)
    whole = Tally()
    points: dict[int, float] = {}
    for at, by_unit in tallies.items():
        for tally in by_unit.values():
            whole.merge(tally)
            if (value := statistic(tally, stat)) is not None:
                points[at] = value
    if not whole.count:
        return {}
    row: dict[str, Any] = {
        "namespace": metric.namespace,
        "dimensions": _dimensions(metric),
        "unit": metric.unit,
        stat: statistic(whole, stat),
        "count": whole.count,
        "min": whole.minimum,
        "max": whole.maximum,
    }
    if as_json:
        moments = {datetime.fromtimestamp(at, UTC).isoformat(): points[at] for at in points}
        return {**row, "points": moments}
    periods = range(min(tallies), max(tallies) + 1, period_s)
    return {**row, "trend": trend([points.get(at) for at in periods])}


def trend(values: list[float | None]) -> str:
    """Draw values as bars from the least to the greatest, a blank where there is none.

    Examples
    --------
    >>> trend([1.0, 2.0, None, 8.0])
    '▁▂ █'
    """
    last = values[-_WIDEST:]
    known = [value for value in last if value is not None]
    if not known:
        return ""
    low, span = min(known), (max(known) - min(known)) or 1.0
    return "".join(
        " " if value is None else _BARS[round((value - low) / span * (len(_BARS) - 1))]
        for value in last
    )


def _dimensions(metric: Metric) -> str:
    return " ".join(f"{name}={value}" for name, value in metric.dimensions)
