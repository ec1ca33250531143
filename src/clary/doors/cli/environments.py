"""clary environments."""

from pathlib import Path
from typing import Annotated

import typer

from clary.doors.cli.homes import open_home
from clary.doors.cli.options import Home, Json, new_app
from clary.doors.cli.output import note, show_document, show_rows
from clary.jobs.environments import Listed
from clary.kernel.errors import InvalidInput

app = new_app(several=True)
Id = Annotated[str, typer.Argument(help="The environment's id, or the image that stands for it.")]


@app.command("list")
def list_(home: Home = None, as_json: Json = False) -> None:
    """List environments, the newest first; those without a size are not built here."""
    rows = [_row(one) for one in open_home(home).environments.list()]
    show_rows(rows, as_json=as_json, empty="no environments yet")


@app.command()
def show(environment: Id, home: Home = None, as_json: Json = False) -> None:
    """Show an environment: what it needs, and every package that it pins."""
    found = open_home(home).environments.get(environment)
    pins = [line.split()[0] for line in found.definition.lock.splitlines() if "==" in line]
    show_document({**_row(found), "packages": pins}, as_json=as_json)


@app.command()
def build(
    requirements: Annotated[
        list[str] | None, typer.Argument(help="Requirements, as pandas==2.2.3.")
    ] = None,
    file: Annotated[
        Path | None, typer.Option("--requirement", "-r", help="A file of requirements.")
    ] = None,
    image: Annotated[
        str, typer.Option(help="Exactly what an image holds, as sagemaker-xgboost:1.7-1.")
    ] = "",
    python: Annotated[
        str, typer.Option(help="The Python's minor version.", show_default="the server's")
    ] = "",
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Build an environment now, so that no job has to; print the image that stands for it."""
    environments = open_home(home).environments
    lines = [*(requirements or ()), *(file.read_text().splitlines() if file else ())]
    if bool(lines) == bool(image):
        legal = "requirements, or -r FILE, or --image IMAGE"
        raise InvalidInput("", "say what is to be in the environment", legal=legal)
    named = environments.exact(image) if image else environments.define(lines, python=python)
    note(f"building {named}")
    show_document(_row(environments.build(named)), as_json=as_json)


@app.command()
def remove(
    environments: Annotated[list[str], typer.Argument(help="Ids or images.")], home: Home = None
) -> None:
    """Remove environments from this machine; jobs that name them build the same again."""
    platform = open_home(home)
    for one in environments:
        platform.environments.remove(one, actor=platform.governance.owner.principal_arn)
        note(f"environment {one} is removed")


def _row(one: Listed) -> dict[str, object]:
    definition = one.definition
    return {
        "image": one.image,
        "python": definition.interpreter or definition.python,
        "mib": "" if one.size_bytes is None else one.size_bytes >> 20,
        "defined": one.defined_at,
        "requirements": ", ".join(definition.requirements),
    }
