"""clary version."""

import platform
from importlib.metadata import version as installed

import typer

from clary.doors.cli.options import Json, new_app
from clary.doors.cli.output import show_json

app = new_app()


@app.command()
def version(as_json: Json = False) -> None:
    """Print the version."""
    if as_json:
        show_json({"clary": installed("clary"), "python": platform.python_version()})
    else:
        typer.echo(f"clary {installed('clary')} on Python {platform.python_version()}")
