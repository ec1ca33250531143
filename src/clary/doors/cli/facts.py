"""clary facts."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from clary.doors.cli.homes import open_home
from clary.doors.cli.options import Home, Json, Limit, new_app
from clary.doors.cli.output import note, show_document, show_json, show_rows
from clary.doors.cli.views import Every, Stop, find_view, moment
from clary.features.fact_audits import Sampled
from clary.features.fact_queries import Wanted, since
from clary.features.scheduled_tasks import AUDIT, FORGET
from clary.features.view_log import unversioned
from clary.kernel.clock import now_us
from clary.kernel.codec import plain, to_json
from clary.kernel.errors import InvalidInput, NotFound
from clary.kernel.names import Ref

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clary.features.audits import Aggregate, Comparison
    from clary.features.fact_audits import Audit
    from clary.features.facts import Fact
    from clary.platform import Platform

app = new_app(several=True)
KIND = "facts"
Name = Annotated[str, typer.Argument(help="A feature view, or what other facts are called.")]
Hours = Annotated[float, typer.Option(min=0, help="Only facts of the last hours; 0: all.")]
_DAY_US = 86_400_000_000


@app.command("list")
def list_(  # noqa: PLR0917 - each is a named option on the command line
    name: Name,
    entity: Annotated[str, typer.Option(help="Only of this entity.")] = "",
    request: Annotated[str, typer.Option(help="Only of the request of this id.")] = "",
    context: Annotated[
        list[str] | None, typer.Option(help="Only with this, as NAME=TEXT; may be repeated.")
    ] = None,
    hours: Hours = 0.0,
    limit: Limit = 100,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """List what was logged, the oldest first: what was known, and what was served with it."""
    platform = open_home(home)
    words = dict(_word(one) for one in context or ())
    wanted = Wanted(since(hours), entity=entity, request_id=request, context=words)
    facts = platform.feature_store.fact_queries.find(_of(platform, name), wanted, limit=limit)
    show_rows([_fact(one, as_json=as_json) for one in facts], as_json=as_json, empty="no facts")


@app.command()
def audit(  # noqa: PLR0917 - each is a named option on the command line
    name: Name,
    hours: Hours = 0.0,
    each: Annotated[float, typer.Option(help="Hours that are summed up together.")] = 24.0,
    sample: Annotated[int, typer.Option(help="How many facts are held against their source.")] = (
        1_000
    ),
    share: Annotated[
        float,
        typer.Option(help="Above 0: sample this share of the entities, always the same ones."),
    ] = 0.0,
    every: Every = "",
    stop: Stop = False,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Sum up what was logged over time, and hold a sample of it against its source.

    The source of a view's facts is the history of its groups. Ends with 1 when a fact that was
    sampled is not what that said at the time. With --every it is done at the times said, of what
    came since the last time, and what is found becomes metrics: Facts, FactsMissing, FactsMean,
    FactsDifferent, FactsLate.
    """
    platform = open_home(home)
    of, how = _of(platform, name), Sampled(each, sample, share)
    store, actor = platform.feature_store, platform.governance.owner.principal_arn
    if stop:
        store.schedules.delete(of, AUDIT, actor=actor)
        note(f"{name} is not audited any more")
    elif every:
        store.schedules.put(of, AUDIT, every, plain(how), actor=actor)
        note(f"{name} is audited at {every}")
    else:
        found = store.audits.run(of, Wanted(since(hours)), how)
        _show(found, as_json=as_json)
        if not found.is_sound:
            raise typer.Exit(1)


@app.command()
def tables(
    name: Name,
    whole: Annotated[
        bool, typer.Option("--whole", help="Make Parquet of what has not filled a file, too.")
    ] = False,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Name the Parquet files that full files of facts have become: a row for each fact."""
    platform = open_home(home)
    found = platform.feature_store.fact_queries.tables(_of(platform, name), is_whole=whole)
    rows = [{"file": one} for one in found]
    show_rows(rows, as_json=as_json, empty="no tables yet; --whole makes them")


@app.command()
def erase(
    name: Name,
    entity: Annotated[str, typer.Argument(help="Of whom.")],
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Remove every fact of an entity."""
    platform = open_home(home)
    _told(platform.feature_store.fact_queries.erase(_of(platform, name), entity), as_json=as_json)


@app.command()
def forget(
    name: Name,
    days: Annotated[float, typer.Option(min=0, help="What is older, in whole files.")],
    every: Every = "",
    stop: Stop = False,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Remove old facts; with --every, at the times said."""
    platform = open_home(home)
    of, store = _of(platform, name), platform.feature_store
    actor = platform.governance.owner.principal_arn
    if stop:
        store.schedules.delete(of, FORGET, actor=actor)
        note(f"old facts of {name} stay")
    elif every:
        store.schedules.put(of, FORGET, every, {"days": days}, actor=actor)
        note(f"facts of {name} are forgotten after {days:g} days, at {every}")
    else:
        removed = store.fact_queries.forget(of, now_us() - int(days * _DAY_US))
        _told(removed, as_json=as_json)


def _of(platform: Platform, name: str) -> Ref:
    """Name a view, else other facts."""
    try:
        return unversioned(find_view(platform, name))
    except NotFound:
        return Ref(platform.governance.owner.account, platform.config.region, KIND, name)


def _word(text: str) -> tuple[str, str]:
    name, equals, word = text.partition("=")
    if not name or not equals:
        raise InvalidInput("--context", f"{text!r}", legal="NAME=TEXT")
    return name, word


def _fact(fact: Fact, *, as_json: bool) -> dict[str, Any]:
    def said(value: Any) -> Any:
        return value if as_json or value is None else to_json(value).decode()

    return {
        "at": moment(fact.event_us),
        "entity": fact.entity,
        "request": fact.request_id,
        "context": said(fact.context),
        "known": said(fact.facts),
        "served": said(fact.served),
    }


def _told(removed: int, *, as_json: bool) -> None:
    show_document({"removed": removed}, as_json=as_json)


def _show(found: Audit, *, as_json: bool) -> None:
    if as_json:
        show_json(
            {
                "facts": found.facts,
                "aggregates": _aggregates(found.aggregates),
                "sampled": found.sampled,
                "comparisons": _comparisons(found.comparisons),
                "is_sound": found.is_sound,
            }
        )
        return
    show_rows(_aggregates(found.aggregates), as_json=False, empty="nothing to sum up")
    if found.comparisons:
        typer.echo()
        show_rows(_comparisons(found.comparisons), as_json=False, empty="")
    compared = f"{found.sampled} held against their source" if found.comparisons else "no source"
    note(f"{found.facts} facts; {compared}")


def _aggregates(found: Sequence[Aggregate]) -> list[dict[str, Any]]:
    return [
        {
            "from": moment(one.start_us),
            "fact": one.name,
            "count": one.count,
            "missing": one.missing,
            "not finite": one.not_finite,
            "smallest": one.smallest,
            "mean": one.mean,
            "largest": one.largest,
            "types": ", ".join(one.types),
        }
        for one in found
    ]


def _comparisons(found: Sequence[Comparison]) -> list[dict[str, Any]]:
    return [
        {"fact" if key == "name" else key: value for key, value in asdict(one).items()}
        for one in found
    ]
