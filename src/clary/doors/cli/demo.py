"""clary demo: the Abalone pipeline, from its data to a live model that is watched."""

import contextlib
import importlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer

from clary.config import Config, default_home
from clary.doors.cli import demo_monitoring
from clary.doors.cli.options import new_app
from clary.doors.cli.output import console, note
from clary.doors.cli.settings import settings
from clary.kernel.errors import ClaryError, JobFailed, Unavailable

app = new_app()
_FIRST_SCORES = 5


@app.command()
def demo(
    home: Annotated[
        Path | None, typer.Option(help="The home directory. [default: $CLARY_HOME, else ./.clary]")
    ] = None,
    mse_threshold: Annotated[
        float, typer.Option(help="The largest mean squared error that is registered.")
    ] = 6.0,
    monitor: Annotated[
        bool, typer.Option(help="Make the model live, let data drift, and see what happens.")
    ] = True,
) -> None:
    """Run the Abalone pipeline, make its model live, and watch data drift.

    Ends with 1 and the failing step's reason when it fails.
    """
    _check()
    config = settings(home or Path(os.environ.get("CLARY_HOME") or ".clary"))
    source = _source()
    with tempfile.TemporaryDirectory() as folder:
        data = subprocess.Popen(  # beside the imports of the example: both take their time
            [sys.executable, str(source / "data.py"), folder],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            example = _imported(source / "pipeline.py")
            session = importlib.import_module("clary").connect(config.home)
            note(f"home    {config.home}")
            _finish(data)
        finally:
            data.kill()
            data.wait()
        with contextlib.chdir(folder):  # the pipeline's defaults are files here
            run = example.abalone.start(mse_threshold=mse_threshold)
    note(f"started {run.ref}\n")
    try:
        run.wait(show=True)
    except JobFailed as error:
        hint = f"{program()} executions show {run.id}"
        raise ClaryError(f"the pipeline failed: {error.reason}", hint=hint) from error
    _report(run)
    if monitor:
        demo_monitoring.watch(session, run)
    session.close()
    _say_what_next(config, run, is_monitored=monitor)


def _check() -> None:
    """Refuse to begin where flows and monitoring are not installed."""
    for name in ("duckdb", "sqlglot"):
        if importlib.util.find_spec(name) is None:
            raise Unavailable(f"the demo needs {name}", hint="pip install 'clary[demo]'")


def _imported(path: Path) -> Any:
    """Import the example as a module of its own."""
    spec = importlib.util.spec_from_file_location("abalone_pipeline", path)
    if spec is None or spec.loader is None:
        raise Unavailable(f"{path} cannot be imported")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # as an import does: its functions know themselves by it
    spec.loader.exec_module(module)
    return module


def _report(run: Any) -> None:
    """Print the metric, the registered version and the first scores."""
    out = console()
    out.print()
    metrics, threshold = run["evaluate"].result(), run.parameters["mse_threshold"]
    out.print(f"mean squared error  {metrics['mse']:.3f}, at most {threshold} to register")
    approval = run.properties("register-AbaloneModels")["ModelApprovalStatus"]
    out.print(f"model version       {_version(run)}, {approval}")
    [(_, uri)] = run["score"].outputs.items()
    rings = run["score"].result()["rings"]
    first = ", ".join(f"{score:.1f}" for score in rings[:_FIRST_SCORES])
    out.print(f"batch scores        {len(rings)} in {uri}", soft_wrap=True)
    out.print(f"                    {first}, … rings\n")


def _version(run: Any) -> str:
    return _made(run, "register-AbaloneModels")


def _made(run: Any, step: str) -> str:
    """Name what a step made, without its kind."""
    arn: str = run[step].made
    return arn.rpartition(":")[2].partition("/")[2]


def _finish(data: subprocess.Popen[str]) -> None:
    said = data.communicate()[1]
    if data.returncode:
        last = said.strip().rpartition("\n")[2]
        hint = "pip install 'clary[demo]'" if "ModuleNotFoundError" in last else ""
        raise Unavailable(f"the data cannot be prepared: {last}", hint=hint)


def _source() -> Path:
    """Find the example: in the installed package, or in the checkout."""
    package = Path(__file__).resolve().parents[2]
    places = (package / "examples" / "abalone", package.parent.parent / "examples" / "abalone")
    for place in places:
        if place.is_dir():
            return place
    raise Unavailable(f"the example is neither at {places[0]} nor at {places[1]}")


def program() -> str:
    """Say how to call clary from here."""
    called = Path(sys.argv[0])
    found = shutil.which("clary")
    if found and Path(found).resolve() == called.resolve():
        return "clary"
    return _short(called) if called.name == "clary" else "python -m clary"


def _short(path: Path) -> str:
    """Write a path below the working directory without it."""
    path = path.absolute()
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def _say_what_next(config: Config, run: Any, *, is_monitored: bool) -> None:
    """Propose commands that go on from here."""
    after = {
        True: (f"monitor explain {demo_monitoring.SCHEDULE}", "what is behind the violations"),
        False: (f"models approve {_version(run)}", "let it go into use"),
    }
    home = "" if default_home().absolute() == config.home else f" --home {_short(config.home)}"
    for words, what in (
        (f"lineage {_version(run)}", "what it was made from, down to the digests"),
        after[is_monitored],
        (f"endpoints deploy {_version(run)} abalone", "make it live; then `endpoints invoke`"),
        (f"logs {_made(run, 'train')}", "what a job printed"),
        ("up", "serve this home to your own programs: `run -- python your_pipeline.py`"),
    ):
        typer.echo(f"  {program()} {words}{home}  # {what}")
