"""clary status."""

from collections import Counter
from typing import Any

from clary.doors.cli.homes import open_home
from clary.doors.cli.options import Home, Json, new_app
from clary.doors.cli.output import show_document
from clary.governance.presence import find
from clary.jobs.model import KINDS
from clary.kernel.resource import Query
from clary.platform import Platform

app = new_app()
_GOING_ON = {
    "pipeline-execution": ("Executing", "Stopping"),
    **dict.fromkeys(KINDS, ("InProgress", "Stopping")),
}


@app.command()
def status(home: Home = None, as_json: Json = False) -> None:
    """Show a home's server and what it works on."""
    platform = open_home(home)
    server = find(platform.config.home)
    work = _work(platform)
    document: dict[str, Any] = {
        "home": str(platform.config.home),
        "account": platform.governance.owner.account,
        "server": server.endpoint if server else None,
        "pid": server.pid if server else None,
        "since": server.since if server else None,
        "working on": work,
    }
    if not as_json:
        going_on = ", ".join(f"{count} {kind}" for kind, count in work.items() if count)
        document["working on"] = going_on or "nothing"
        document["server"] = server.endpoint if server else "none runs; `clary up` starts it"
    show_document(document, as_json=as_json)


def _work(platform: Platform) -> dict[str, int]:
    """Count what goes on, by kind; at most 1000 of each."""
    going_on: Counter[str] = Counter()
    for kind, statuses in _GOING_ON.items():
        page = platform.jobs.list(Query(kind, statuses=statuses, limit=1000))
        going_on[kind] += len(page.items)
    return dict(going_on)
