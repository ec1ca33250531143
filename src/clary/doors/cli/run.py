"""clary run."""

import os
import shutil
import subprocess
from typing import Annotated

import typer

from clary.doors.cli.env import environment_of
from clary.doors.cli.options import Home, new_app
from clary.doors.cli.servers import server_of
from clary.doors.cli.settings import settings
from clary.governance.environment import conflicts
from clary.kernel.errors import InvalidInput

app = new_app()


@app.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
def run(
    command: Annotated[list[str], typer.Argument(metavar="-- PROGRAM [ARGS]...")],
    home: Home = None,
) -> None:
    """Run a program against a home's server, started for it if none runs.

    Ends with the program's exit code.
    """
    program = shutil.which(command[0])
    if program is None:
        raise InvalidInput("", f"{command[0]}: no such program")
    config = settings(home)
    with server_of(config.home):
        gone = conflicts(os.environ)
        around = {name: value for name, value in os.environ.items() if name not in gone}
        process = subprocess.Popen([program, *command[1:]], env=around | environment_of(config))
        try:
            code = _wait(process)
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait()
    raise typer.Exit(code if code >= 0 else 128 - code)


def _wait(process: subprocess.Popen[bytes]) -> int:
    """Wait for the program; an interrupt reaches it too, and is its own to answer."""
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:
            continue
