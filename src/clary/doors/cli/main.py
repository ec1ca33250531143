"""The command ``clary``: finds the module of a command only when it is called."""

from __future__ import annotations

import gc
import importlib
import os
import sys
import tempfile
import traceback
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperCommand, TyperGroup

from clary.kernel.errors import ClaryError, NotSupported

if TYPE_CHECKING:
    from types import ModuleType

COMMANDS = {
    "up": ("up", "Serve a home until it is told to stop."),
    "env": ("env", "Print the variables that lead AWS clients to a home's server."),
    "run": ("run", "Run a program against a home's server, started for it if none runs."),
    "demo": ("demo", "Run the Abalone pipeline, make its model live, and watch data drift."),
    "doctor": ("doctor", "Check what this machine offers and lacks."),
    "status": ("status", "Show a home's server and what it works on."),
    "logs": ("logs", "Print the log of a job."),
    "pipelines": ("pipelines", "List, show and start pipelines."),
    "executions": ("executions", "List, show and stop executions of pipelines."),
    "jobs": ("jobs", "List, show and stop jobs."),
    "tuning": ("tuning", "List, show and stop tuning jobs."),
    "environments": ("environments", "List, show, build and remove environments of jobs."),
    "runs": ("runs", "List, show and compare runs of experiments."),
    "models": ("models", "List, show, scan, approve and reject model versions."),
    "batch": ("batch", "Predict objects with a registered model version, and wait for the end."),
    "metrics": ("metrics", "List metrics, and show how one went."),
    "endpoints": ("endpoints", "Deploy models, ask them, replace them, look at them."),
    "monitor": ("monitor", "Take baselines, check data, look at schedules and who is told."),
    "flow": ("flow", "Run, preview, fit, compare and export a data flow; report on its rows."),
    "features": ("features", "Find, show and fill feature groups; what they hold and who uses it."),
    "views": ("views", "List and show feature views, and write them down."),
    "facts": ("facts", "List and audit what was known and served."),
    "lineage": ("lineage", "Show what a model version, a job or a file was made from."),
    "reproduce": (
        "reproduce",
        "Run again what a model version was made by, and compare every digest.",
    ),
    "skew": ("skew", "Replay what a feature view or an endpoint served, and compare every cell."),
    "version": ("version", "Print the version."),
}
_EXTRAS = {
    "sklego": "demo",
    **dict.fromkeys(("pandas", "pyarrow", "sklearn", "xgboost"), "ml"),
    **dict.fromkeys(("duckdb", "numpy", "scipy"), "monitoring"),
    "sqlglot": "flows",
}
_WHOLE = {"flow": "flows"}
"""Commands of which nothing works without an extra."""


class Commands(TyperGroup):
    """The commands by name and summary; the one that is called is imported."""

    def __init__(self, **attributes: Any) -> None:
        attributes["commands"] = {
            name: TyperCommand(name, help=summary) for name, (_, summary) in COMMANDS.items()
        }
        super().__init__(**attributes)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Put the real command in the place of its summary."""
        if args[0] in COMMANDS:
            module = _imported(args[0])
            self.add_command(typer.main.get_command(module.app), args[0])
        return super().resolve_command(ctx, args)


def _imported(command: str) -> ModuleType:
    """Import a command. Raises NotSupported where its extra is missing."""
    try:
        return importlib.import_module(f"clary.doors.cli.{COMMANDS[command][0]}")
    except ModuleNotFoundError as error:
        if command not in _WHOLE:
            raise
        hint = f"pip install 'clary[{_WHOLE[command]}]'"
        problem = f"clary {command} needs the package {error.name}"
        raise NotSupported(problem, hint=hint) from error


app = typer.Typer(
    cls=Commands,
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@app.callback()
def clary() -> None:
    """Run the machine-learning lifecycle on machines you own, through the SageMaker API."""


def run() -> None:
    """Run ``clary`` with the arguments of this process, and end the process.

    Exits with 0, with 1 after one clear sentence on stderr, or with 2 for wrong usage. With
    ``CLARY_DEBUG=1`` errors show their traceback.
    """
    try:
        app(prog_name="clary")
    except Exception as error:
        if os.environ.get("CLARY_DEBUG") == "1":
            raise
        sys.stderr.write(explain(error))
        sys.exit(1)
    finally:
        if "duckdb" not in sys.modules:  # it complains of what is left at the end
            gc.freeze()  # the last collections free nothing that the process's end does not: 0.2 s


def explain(error: Exception) -> str:
    """Say an error as a sentence and, where there is one, a hint."""
    if isinstance(error, ClaryError):
        return _lines(error.message, error.hint)
    if isinstance(error, ModuleNotFoundError) and (extra := _EXTRAS.get(error.name or "")):
        return _lines(f"this needs the package {error.name}", f"pip install 'clary[{extra}]'")
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename is not None else ""
        return _lines(f"{where}{error.strerror}", "")
    handle, path = tempfile.mkstemp(prefix="clary-", suffix=".log")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        traceback.print_exception(error, file=file)
    hint = f"please report it with {path}; CLARY_DEBUG=1 shows it here"
    return _lines(f"this is a bug: {type(error).__name__}: {error}", hint)


def _lines(message: str, hint: str) -> str:
    return f"clary: {message}\n" + (f"  {hint}\n" if hint else "")
