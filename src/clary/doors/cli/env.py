"""clary env."""

import os
import shlex
from typing import Annotated

import typer

from clary.config import Config
from clary.doors.cli.options import Home, Json, new_app
from clary.doors.cli.output import show_json
from clary.doors.cli.settings import settings
from clary.governance.environment import client_environment, conflicts
from clary.governance.keys import open_keys
from clary.governance.model import Credentials
from clary.governance.presence import find

app = new_app()


@app.command()
def env(
    home: Home = None,
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Port of a server that is not up yet.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Print the variables that lead AWS clients to a home's server.

    For a shell: eval "$(clary env)".
    """
    config = settings(home)
    variables = environment_of(config, port=port)
    gone = [name for name in conflicts(os.environ) if name not in variables]
    if as_json:
        show_json(variables)
        return
    for name in gone:
        typer.echo(f"unset {name}")
    for name, value in variables.items():
        typer.echo(f"export {name}={shlex.quote(value)}")


def environment_of(config: Config, *, port: int | None = None) -> dict[str, str]:
    """Return the variables for this process's environment and a home's server."""
    keys = open_keys(config.home, config.account)
    server = None if port else find(config.home)
    endpoint = server.endpoint if server else f"http://127.0.0.1:{port or config.port}"
    return client_environment(
        endpoint,
        Credentials(keys.access_key_id, keys.secret_access_key),
        config.region,
        inherited=os.environ,
    )
