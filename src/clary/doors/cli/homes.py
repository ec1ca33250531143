"""The home a command works on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clary.doors.cli.settings import settings
from clary.kernel.errors import InvalidInput, NotFound
from clary.kernel.names import parse_arn
from clary.kernel.resource import Query
from clary.platform import open_platform

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from clary.kernel.resource import Page, Resource
    from clary.platform import Platform

_COMMANDS = {
    "pipeline": "pipelines",
    "pipeline-execution": "executions",
    "model-package-group": "models",
    "endpoint": "endpoints",
    "feature-group": "features",
    "feature-view": "views",
}


def open_home(home: Path | None) -> Platform:
    """Open a home that exists, beside its server or without one.

    Raises
    ------
    NotFound
        There is no home.
    """
    config = settings(home)
    if not (config.home / "credentials.json").exists():
        raise NotFound(
            f"a home at {config.home}", hint="`clary up` makes one; --home names another"
        )
    return open_platform(config)


def find_one(
    select: Callable[[Query], Page], kinds: Sequence[str], account: str, name: str
) -> Resource:
    """Find a resource by name in any region: the newest, if several have it.

    ``name`` may be an ARN. What an execution is called may leave out its pipeline.

    Raises
    ------
    NotFound
        No kind of ``kinds`` has one.
    InvalidInput
        ``name`` is an ARN of another kind.
    """
    if name.startswith("arn:"):
        ref = parse_arn(name, field="name")
        if ref.kind not in kinds:
            legal = f"the ARN of a {' or '.join(kinds)}"
            raise InvalidInput("name", f"{name} is a {ref.kind}", legal=legal)
        query = Query(ref.kind, ref.account, ref.region, name=ref.name)
        found = list(select(query).items)
    else:
        found = [
            item
            for kind in kinds
            for item in select(_by_name(kind, account, name)).items
            if item.ref.name == name or item.ref.name.endswith(f"/{name}")
        ]
    if not found:
        hint = f"`clary {_COMMANDS.get(kinds[0], 'jobs')} list` names what there is"
        raise NotFound(f"{' or '.join(kinds)} {name}", hint=hint)
    return max(found, key=lambda item: item.created_at)


def _by_name(kind: str, account: str, name: str) -> Query:
    if kind == "pipeline-execution" and "/" not in name:
        return Query(kind, account, name_contains=f"/{name}")
    return Query(kind, account, name=name)
