"""Every setting, in one frozen value."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from clary.kernel.names import DEFAULT_ACCOUNT, DEFAULT_REGION


def default_home() -> Path:
    """Return ``$CLARY_HOME``, else ``./.clary`` if there is one, else ``~/.clary``."""
    if named := os.environ.get("CLARY_HOME"):
        return Path(named).expanduser()
    here = Path.cwd() / ".clary"
    return here if here.is_dir() else Path("~/.clary").expanduser()


@dataclass(frozen=True, slots=True)
class Config:
    """How one platform is set up; the reference page ``settings`` is made from this docstring.

    Parameters
    ----------
    home
        Directory of everything that is stored: metadata, buckets, logs, keys.
    host
        Address the server binds to.
    port
        Port of the server; 0 takes a free one.
    account
        The 12-digit account that the keys made at first start belong to.
    region
        Region of the environment that ``clary env`` gives.
    strict
        Validate length, enum and pattern of requests; types and required members always are.
    authenticate
        Verify the signature of every request.
    allow_reset
        Offer POST /_clary/reset, which empties the home.
    parallel_jobs
        How many jobs of each kind run at once.
    lease_s
        Seconds until the work of a process that died is taken over.
    job_memory_bytes
        Memory limit of a job's process; None takes the machine's memory.
    strict_versions
        Give jobs the exact framework versions that their images' tags stand for, in environments
        built for it; else they run with the server's own packages.
    openlineage
        Where OpenLineage events go: ``file:///…`` (JSON lines), ``http://…`` or ``https://…``;
        empty: nowhere.
    traces
        Where spans of requests to endpoints go: an OpenTelemetry collector's
        ``http://…:4318/v1/traces``; empty: nowhere.
    smtp
        The mail server that alerts go through: ``smtp://user:password@host:587?from=address`` or
        ``smtps://…``; set ``$CLARY_SMTP``, which others do not see. Empty: none.
    online
        Where online records of features are; the same for everybody who opens the home, so set
        ``$CLARY_ONLINE``. ``lmdb:``: in the home, on the disk when they are acknowledged;
        ``lmdb:relaxed``: a power failure may undo the last commit; ``redis://…``, ``rediss://…``,
        ``unix://…``: in Redis.
    durability
        What a record of features has to outlive once it is acknowledged; the same for everybody who
        opens the home, so set ``$CLARY_DURABILITY``. ``disk``: a power failure; ``process``: its
        process being killed, so that history waits for no disk and ``lmdb:`` means
        ``lmdb:relaxed``.
    """

    home: Path = field(default_factory=default_home)
    host: str = "127.0.0.1"
    port: int = 8930
    account: str = DEFAULT_ACCOUNT
    region: str = DEFAULT_REGION
    strict: bool = True
    authenticate: bool = True
    allow_reset: bool = False
    parallel_jobs: int = field(default_factory=lambda: max(2, os.cpu_count() or 2))
    lease_s: float = 5.0
    job_memory_bytes: int | None = None
    strict_versions: bool = False
    openlineage: str = ""
    traces: str = ""
    smtp: str = field(default_factory=lambda: os.environ.get("CLARY_SMTP", ""), repr=False)
    online: str = field(default_factory=lambda: os.environ.get("CLARY_ONLINE") or "lmdb:")
    durability: str = field(default_factory=lambda: os.environ.get("CLARY_DURABILITY") or "disk")
