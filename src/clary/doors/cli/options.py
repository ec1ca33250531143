"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

Home = Annotated[
    Path | None,
    typer.Option(help="The home directory. [default: $CLARY_HOME, else ./.clary, else ~/.clary]"),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Limit = Annotated[int, typer.Option(min=1, max=1000, help="The most to list.")]


def new_app(*, several: bool = False) -> typer.Typer:
    """Make the app of a command, or of a group of ``several``."""
    return typer.Typer(
        add_completion=False,
        no_args_is_help=several,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
