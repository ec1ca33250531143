"""clary up."""

import ipaddress
import logging
import os
import signal
import sys
import threading
from dataclasses import replace
from io import TextIOWrapper
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Annotated

import typer

from clary.config import Config
from clary.doors.cli.options import Home, new_app
from clary.doors.cli.settings import settings
from clary.doors.wire.server import serve
from clary.governance.presence import Presence, announce, hold
from clary.jobs.launch import typical
from clary.kernel.clock import now
from clary.kernel.errors import ClaryError, InvalidInput
from clary.platform import Platform, emptied, open_platform

app = new_app()
LOG = "server.log"
_DEFAULTS = Config()


@app.command()
def up(  # noqa: PLR0917 - each is a named option on the command line
    home: Home = None,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="0 takes a free one.")
    ] = _DEFAULTS.port,
    host: Annotated[str, typer.Option(help="Address to bind to.")] = _DEFAULTS.host,
    lenient: Annotated[
        bool, typer.Option("--lenient", help="Do not validate lengths, enums and patterns.")
    ] = False,
    no_auth: Annotated[
        bool, typer.Option("--no-auth", help="Verify no signatures; only on loopback.")
    ] = False,
    allow_reset: Annotated[
        bool, typer.Option("--allow-reset", help="Offer POST /_clary/reset, which empties it.")
    ] = False,
    parallel_jobs: Annotated[
        int, typer.Option(min=1, max=1000, help="How many jobs of each kind run at once.")
    ] = _DEFAULTS.parallel_jobs,
    job_memory_mib: Annotated[
        int | None, typer.Option(min=64, help="Memory limit of a job's process.", metavar="MIB")
    ] = None,
    strict_versions: Annotated[
        bool,
        typer.Option("--strict-versions", help="Run jobs with the versions their images name."),
    ] = False,
    openlineage: Annotated[
        str, typer.Option(help="Send OpenLineage events to file:///… or http://….", metavar="URL")
    ] = _DEFAULTS.openlineage,
    traces: Annotated[
        str, typer.Option(help="Send spans of requests to a collector's http://….", metavar="URL")
    ] = _DEFAULTS.traces,
    attached: Annotated[bool, typer.Option(hidden=True)] = False,
) -> None:
    """Serve a home until it is told to stop."""
    if no_auth and not _is_loopback(host):
        raise InvalidInput(
            "--no-auth", f"would let everybody in who reaches {host}", legal="--host 127.0.0.1"
        )
    config = replace(
        settings(home),
        host=host,
        port=port,
        strict=not lenient,
        authenticate=not no_auth,
        allow_reset=allow_reset,
        parallel_jobs=parallel_jobs,
        openlineage=openlineage,
        traces=traces,
        job_memory_bytes=job_memory_mib and job_memory_mib << 20,
        strict_versions=strict_versions,
    )
    if attached:
        threading.Thread(target=_stop_with_stdin, daemon=True).start()
    with hold(config.home):
        _log_to(config.home / LOG)
        run(config)


def run(config: Config) -> None:
    """Serve and work until a signal; the caller holds the home."""
    platform = open_platform(config)

    def ready(endpoint: str) -> None:
        announce(config.home, Presence(_reachable(endpoint), os.getpid(), now()))
        platform.worker.start()
        platform.captures.start()
        threading.Thread(target=_probe, args=(platform,), daemon=True).start()
        typer.echo(f"clary serves {config.home} at {endpoint}")
        typer.echo(f'  eval "$(clary env --home {config.home})"')
        sys.stdout.flush()

    def reset() -> Platform:
        nonlocal platform
        platform = emptied(platform)
        platform.worker.start()
        platform.captures.start()
        return platform

    try:
        serve(platform, ready=ready, reset=reset)
    finally:
        platform.worker.stop()
        platform.shadows.close()
        platform.serving.close()
        platform.captures.close()
        platform.feature_store.close()
        platform.recorder.close()


def _probe(platform: Platform) -> None:
    """Find out how jobs are isolated here, and load what they import, before the first waits."""
    try:
        platform.runner.warm(typical())
    except ClaryError:
        logging.getLogger(__name__).exception("no job can run here")


def _reachable(endpoint: str) -> str:
    """Return where clients on this machine reach a server that binds to every address."""
    return endpoint.replace("//0.0.0.0:", "//127.0.0.1:").replace("//[::]:", "//[::1]:")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class _PrivateLog(RotatingFileHandler):
    """A rotating log that only its owner can read."""

    def _open(self) -> TextIOWrapper:
        Path(self.baseFilename).touch(mode=0o600)
        return super()._open()


def _log_to(path: Path) -> None:
    handler = _PrivateLog(path, maxBytes=10_000_000, backupCount=3, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    logging.getLogger("alembic").setLevel(logging.WARNING)


def _stop_with_stdin() -> None:
    """End this server when the process that started it has ended, however it did."""
    sys.stdin.read()
    os.kill(os.getpid(), signal.SIGTERM)
