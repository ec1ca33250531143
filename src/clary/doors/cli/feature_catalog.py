"""The commands of ``clary features`` on groups: find them, look at them, say what they are."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, Self

import typer

from clary.doors.cli.feature_rows import (
    distribution_rows,
    feature_row,
    freshness_row,
    group_row,
    statistics_row,
    version_of,
)
from clary.doors.cli.homes import find_one, open_home
from clary.doors.cli.lineage import tree_of
from clary.doors.cli.options import Home, Json, Limit, new_app
from clary.doors.cli.output import note, show_document, show_json, show_rows
from clary.doors.cli.output import show as draw
from clary.features.discovery import OWNER
from clary.features.model import FEATURE_GROUP
from clary.kernel.codec import plain
from clary.kernel.errors import InvalidInput
from clary.kernel.names import Ref
from clary.kernel.resource import Query

if TYPE_CHECKING:
    from pathlib import Path

    from clary.feature_store import FeatureStore

app = new_app(several=True)
Name = Annotated[str, typer.Argument(help="The feature group's name or ARN.")]
Tags = Annotated[
    list[str] | None, typer.Option("--tag", help="KEY=VALUE; may be repeated. KEY= removes it.")
]


class Opened:
    """A home and a feature group of it, closed at the end of the block."""

    def __init__(self, home: Path | None, name: str = "") -> None:
        self.platform = open_home(home)
        self._name = name

    @property
    def store(self) -> FeatureStore:
        """The feature store."""
        return self.platform.feature_store

    @property
    def actor(self) -> str:
        """Who this is, for the journal."""
        return self.platform.governance.owner.principal_arn

    @property
    def ref(self) -> Ref:
        """The group's name. Raises NotFound."""
        account = self.platform.governance.owner.account
        return find_one(self.platform.store.select, [FEATURE_GROUP], account, self._name).ref

    def moment(self, at: datetime) -> str:
        """Write a time as the group's event times are written."""
        schema = self.platform.features.group(self.ref).schema
        kind = next(one.kind for one in schema.features if one.name == schema.event_time)
        if kind == "Fractional":
            return str(at.timestamp())
        return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.store.close()


@app.command("list")
def list_(home: Home = None, limit: Limit = 100, as_json: Json = False) -> None:
    """List feature groups, the newest first, and how fresh they are."""
    with Opened(home) as opened:
        query = Query(FEATURE_GROUP, opened.platform.governance.owner.account, limit=limit)
        found = opened.platform.features.list(query).items
        rows = [
            group_row(one)
            | (
                freshness_row(opened.store.discovery.recency(one.ref))
                if _is_there(one.status)
                else {}
            )
            for one in found
        ]
    show_rows(rows, as_json=as_json, empty="no feature groups")


@app.command()
def show(
    name: Name,
    home: Home = None,
    as_json: Json = False,
    whole: Annotated[bool, typer.Option("--whole", help="Show the public document.")] = False,
) -> None:
    """Show the features of a group, and what is said of them."""
    with Opened(home, name) as group:
        ref, features = group.ref, group.platform.features
        document = features.describe(ref)
        if whole:
            show_document(document, as_json=as_json)
            return
        names = [one["FeatureName"] for one in document["FeatureDefinitions"]]
        found = [features.describe_feature(ref, one) for one in names]
        told = group.store.annotations.describe(ref)
    rows = [
        feature_row(document, *pair)
        for pair in zip(document["FeatureDefinitions"], found, strict=True)
    ]
    show_rows(rows, as_json=as_json, empty="no features")
    tags = ", ".join(f"{key}={value}" for key, value in sorted(told["tags"].items()))
    parts = (told["description"], f"owner: {told['owner']}", tags)
    note("; ".join(part for part in parts if part))


@app.command()
def search(
    words: Annotated[
        list[str] | None, typer.Argument(help="All occur in a name, a description or a tag.")
    ] = None,
    tags: Tags = None,
    owner: Annotated[str, typer.Option(help="Whose they are.")] = "",
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Find groups and features; those whose names fit best come first."""
    with Opened(home) as opened:
        config = opened.platform.config
        near = Ref(opened.platform.governance.owner.account, config.region, FEATURE_GROUP, "")
        wanted = {key: value or "" for key, value in _tags(tags).items()}
        found = opened.store.discovery.search(near, " ".join(words or ()), tags=wanted, owner=owner)
    rows = [{**plain(one), "tags": one.tags if as_json else _written(one.tags)} for one in found]
    show_rows(rows, as_json=as_json, empty="nothing fits")


@app.command()
def stats(
    name: Name,
    feature: Annotated[
        str, typer.Option("--feature", help="All of one: its distribution, its frequent values.")
    ] = "",
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Count what the history of a group holds, feature by feature.

    Distinct values and quantiles are within some percent. It is counted once for each version of
    the offline table, and kept.
    """
    with Opened(home, name) as group:
        if feature:
            group.platform.features.group(group.ref).place(feature)
        found = group.store.statistics.of(group.ref)
    features = [one for one in found.measured.features if feature in ("", one.feature)]
    if as_json:
        chosen: Any = plain(features[0]) if feature else plain(found)
        show_json(chosen)
        return
    show_rows([statistics_row(one) for one in features], as_json=False, empty="no features")
    if feature:
        for rows in distribution_rows(features[0]):
            typer.echo()
            show_rows(rows, as_json=False, empty="")
    note(version_of(found))


@app.command()
def usage(
    name: Name,
    feature: Annotated[str, typer.Option("--feature", help="Only what uses this one.")] = "",
    home: Home = None,
    as_json: Json = False,
) -> None:
    """List what uses a group: views, training sets, queries, and the models made of them."""
    with Opened(home, name) as group:
        found = group.store.discovery.usage(group.ref, feature)
    rows = [
        {
            "kind": one.kind,
            "name": one.name + (f"/{one.version}" if one.version else ""),
            "features": list(one.features) if as_json else ", ".join(one.features),
            "through": one.through,
        }
        for one in found
    ]
    show_rows(rows, as_json=as_json, empty="nothing uses it")


@app.command()
def lineage(
    name: Name,
    down: Annotated[
        bool, typer.Option("--down", help="What became of it instead: who used it, for what.")
    ] = False,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Show what a group came from, or (--down) what became of it."""
    with Opened(home, name) as group:
        node = group.platform.lineage.tree(group.ref, down=down)
    if as_json:
        show_json(node)
    else:
        draw(tree_of(node))


@app.command()
def annotate(
    name: Name,
    feature: Annotated[str, typer.Option("--feature", help="A feature of it instead.")] = "",
    description: Annotated[str | None, typer.Option(help="What it means.")] = None,
    owner: Annotated[str | None, typer.Option(help="Whose it is.")] = None,
    tags: Tags = None,
    home: Home = None,
) -> None:
    """Say what a group, or a feature of it, means, and whose it is."""
    with Opened(home, name) as group:
        said = _tags(tags) | ({} if owner is None else {OWNER: owner})
        group.store.annotations.annotate(group.ref, feature, description, said, actor=group.actor)
        told = f"{group.ref.name}.{feature}" if feature else group.ref.name
    note(f"{told} is annotated")


@app.command()
def retain(
    name: Name,
    days: Annotated[
        int | None, typer.Option(min=1, help="Rows older than that, by event time, are removed.")
    ] = None,
    forever: Annotated[bool, typer.Option("--forever", help="None are removed.")] = False,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Say how long rows of history stay; without an option, show it and what was removed."""
    if days and forever:
        raise InvalidInput("days", "and --forever", legal="one of them")
    with Opened(home, name) as group:
        if days or forever:
            age_us = timedelta(days=days) // timedelta(microseconds=1) if days else None
            kept = group.store.retention.keep(group.ref, age_us, actor=group.actor)
        else:
            kept = group.store.retention.of(group.platform.features.group(group.ref))
    before_us = kept.removed_before_us
    document = {
        "days": "for ever" if kept.age_us is None else kept.age_us / 86_400_000_000,
        "removed_rows": kept.rows,
        "removed_before": None
        if before_us is None
        else datetime.fromtimestamp(before_us / 1e6, UTC),
        "since_version": kept.version or None,
    }
    show_document(document, as_json=as_json)


@app.command()
def remove(
    names: Annotated[list[str], typer.Argument(help="The feature groups' names or ARNs.")],
    home: Home = None,
) -> None:
    """Delete groups and their online records; their history stays in its bucket.

    A running server does it; without one, the next that is started.
    """
    for name in names:
        with Opened(home, name) as group:
            ref = group.ref
            group.platform.features.delete(ref, actor=group.actor)
        note(f"{ref.name} is being deleted")


def _is_there(status: str) -> bool:
    return status == "Created"


def _tags(given: list[str] | None) -> dict[str, str | None]:
    made: dict[str, str | None] = {}
    for one in given or ():
        key, separator, value = one.partition("=")
        if not key or not separator:
            raise InvalidInput("tag", f"{one!r}", legal="KEY=VALUE")
        made[key] = value or None
    return made


def _written(tags: dict[str, str]) -> str:
    return ", ".join(f"{key}={value}" for key, value in sorted(tags.items()))
