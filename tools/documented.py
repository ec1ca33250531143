"""Reference pages of what the code documents itself: commands, settings, errors."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import re
from typing import TYPE_CHECKING

import typer
from typer.testing import CliRunner

from clary.config import Config
from clary.doors.cli.main import COMMANDS, app
from clary.doors.wire import errors as wire
from clary.kernel import errors

if TYPE_CHECKING:
    from collections.abc import Iterator

_PLAIN = {"COLUMNS": "80", "NO_COLOR": "1", "TERM": "dumb"}
_SERVICES = ("sagemaker", "sagemaker-runtime", "s3", "sts", "iam", "logs")


def commands() -> Iterator[tuple[str, ...]]:
    """Yield the words of every command, groups included."""
    for name, (module, _) in COMMANDS.items():
        yield (name,)
        built = typer.main.get_command(importlib.import_module(f"clary.doors.cli.{module}").app)
        for inner in getattr(built, "commands", ()):
            yield (name, inner)


def cli() -> str:
    """Show the help of every command."""
    lines = ["# The command line", "", "Errors are one sentence and a hint, with exit code 1.", ""]
    for words in commands():
        said = CliRunner().invoke(app, [*words, "--help"], env=_PLAIN, prog_name="clary")
        if said.exit_code:
            raise RuntimeError(f"clary {' '.join(words)} --help: {said.output}")
        text = "\n".join(line.rstrip() for line in said.output.strip().splitlines())
        lines += [f"## clary {' '.join(words)}", "", "```text", text, "```", ""]
    return "\n".join(lines).rstrip() + "\n"


def settings() -> str:
    """List the members of ``Config`` with what its docstring says of them."""
    said = dict(
        re.findall(
            r"^    (\w+)\n        (.+?)(?=\n    \w|\Z)", _doc(Config), re.MULTILINE | re.DOTALL
        )
    )
    lines = [
        "# Settings",
        "",
        "The members of `clary.config.Config`. [`clary up`](cli.md#clary-up) sets those that have",
        "an option there; a program that calls `clary.platform.open_platform` sets any of them.",
        "",
        "| setting | type | meaning |",
        "|---|---|---|",
    ]
    for member in dataclasses.fields(Config):
        kind = str(member.type).replace("|", r"\|")
        lines.append(f"| `{member.name}` | `{kind}` | {' '.join(said[member.name].split())} |")
    return "\n".join(lines) + "\n"


def error_kinds() -> list[type[errors.ClaryError]]:
    """List what can go wrong, in the order of the source."""
    return [
        kind
        for kind in vars(errors).values()
        if inspect.isclass(kind) and issubclass(kind, errors.ClaryError)
    ][1:]


def error_page() -> str:
    """List the errors, and the codes by which each service says them."""
    lines = [
        "# Errors",
        "",
        "Python sees these classes of `clary.kernel.errors`; all are a `ClaryError` with a",
        "`message`, a `hint` and whether the same request may succeed later (`retryable`).",
        "",
        "| class | meaning | retryable |",
        "|---|---|---|",
    ]
    for kind in error_kinds():
        meaning = _doc(kind).partition("\n")[0].rstrip(".")
        lines.append(f"| `{kind.__name__}` | {meaning} | {'yes' if kind.retryable else 'no'} |")
    lines += [
        "",
        "An AWS client sees a code of the service that it called. Where there are several, it is",
        "the first that the operation declares, else the last.",
        "",
        f"| class | {' | '.join(_SERVICES)} |",
        f"|---|{'---|' * len(_SERVICES)}",
    ]
    for kind in error_kinds():
        words = [
            wire.WORDS[one].get(kind, ()) for one in _SERVICES
        ]  # not every service has a model
        codes = [", ".join(f"`{code}`" for code in some) for some in words]
        lines.append(f"| `{kind.__name__}` | {' | '.join(codes)} |")
    return "\n".join(lines) + "\n"


def _doc(thing: type) -> str:
    return thing.__doc__ or ""
