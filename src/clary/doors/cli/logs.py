"""clary logs."""

import time
from typing import Annotated

import msgspec
import typer

from clary.doors.cli.homes import open_home
from clary.doors.cli.jobs import find_job
from clary.doors.cli.options import Home, new_app
from clary.doors.cli.output import note, printable
from clary.jobs.model import ENDED, LOG_GROUPS
from clary.jobs.ports import LogLine
from clary.kernel.names import Ref
from clary.platform import Platform

app = new_app()
_LOOK_EVERY_S = 0.3


@app.command()
def logs(
    name: Annotated[str, typer.Argument(help="The job's name or ARN.")],
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Until the job ends.")] = False,
    home: Home = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """Print the log of a job."""
    platform = open_home(home)
    job = find_job(platform, name).ref
    positions: dict[str, int] = {}
    while True:
        ended = find_job(platform, name).status in ENDED  # before reading: nothing is missed
        shown = _show_new(platform, job, positions, as_json=as_json)
        if not follow or (ended and not shown):
            break
        if not shown:
            time.sleep(_LOOK_EVERY_S)
    if not positions:
        note(f"{job} has logged nothing yet")


def _show_new(platform: Platform, job: Ref, positions: dict[str, int], *, as_json: bool) -> bool:
    """Print what was logged behind ``positions``, and move them; say whether there was any."""
    group = LOG_GROUPS[job.kind]
    shown = False
    streams = platform.logs.streams(job.account, job.region, group, f"{job.name}/")
    for stream in streams:
        host = stream.name.partition("/")[2].rpartition("-")[0] if len(streams) > 1 else ""
        while True:
            after = positions.get(stream.name, 0)
            page = platform.logs.read(job.account, job.region, group, stream.name, after=after)
            if not page.lines:
                break
            for line in page.lines:
                typer.echo(_line(line, stream.name) if as_json else _text(line, host))
            positions[stream.name] = page.end
            shown = True
    return shown


def _line(line: LogLine, stream: str) -> str:
    return msgspec.json.encode({"at": line.at, "stream": stream, "text": line.text}).decode()


def _text(line: LogLine, host: str) -> str:
    return (f"{host}  " if host else "") + printable(line.text)
