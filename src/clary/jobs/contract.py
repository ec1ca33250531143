"""What a job looks like to its container: one plan for each kind of job, computed from its request.

A plan is pure data; fetching, running and uploading know plans, not requests.
"""

from __future__ import annotations

import posixpath
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from clary.jobs.instances import Instance
from clary.kernel.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from clary.jobs.images import Runtime
    from clary.kernel.ports import JsonObject

ROOT = "/opt/ml"
Outcome = Literal["Completed", "Failed", "Stopped"]


@dataclass(frozen=True, slots=True)
class Source:
    """Objects to fetch before the start.

    Parameters
    ----------
    name
        The input's or channel's name.
    uri
        ``s3://bucket/key`` of an object, a prefix or a manifest.
    path
        Where they go, below ``/opt/ml``.
    manifest
        ``uri`` names a manifest file.
    sharded
        Every host gets its share instead of everything.
    gunzip
        Objects are decompressed.
    code
        They are the program, not data.
    optional
        Nothing there is no error (checkpoints).
    file_name
        The one object's name here, instead of its own.
    listing
        Path below ``/opt/ml`` of a JSON file that says which objects a host got: URIs by path.
    """

    name: str
    uri: str
    path: str
    manifest: bool = False
    sharded: bool = False
    gunzip: bool = False
    code: bool = False
    optional: bool = False
    file_name: str = ""
    listing: str = ""


@dataclass(frozen=True, slots=True)
class Target:
    """Files to upload.

    Parameters
    ----------
    name
        The output's name.
    path
        The directory below ``/opt/ml``.
    uri
        ``s3://bucket/prefix`` for the tree; of the object itself when ``archive``.
    archive
        Upload as one tar.gz.
    when
        The outcomes that upload it.
    continuous
        Also upload while the job runs.
    model
        It is the job's model: uploaded even if it is empty.
    group
        The feature group that gets the rows of its files; empty: none.
    """

    name: str
    path: str
    uri: str
    archive: bool = False
    when: frozenset[Outcome] = frozenset({"Completed"})
    continuous: bool = False
    model: bool = False
    group: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """One job, as its containers see it.

    Parameters
    ----------
    runtime
        What the image stands for.
    beside
        Other images whose packages its environment has too.
    argv
        The command; empty when ``program`` is run.
    program
        A program of ``jobs/containers`` and its arguments, run by the environment's Python.
    cwd
        The working directory.
    environment
        Variables that the contract promises, the request's own included.
    hosts
        Host names, sorted.
    sources, targets
        What is fetched and what is uploaded.
    documents
        JSON files by path below ``/opt/ml``, the same on every host.
    resources
        The path of the resource configuration and its document, which gains ``current_host``.
    directories
        Directories below ``/opt/ml`` that exist at the start.
    limit_s
        How long it may run.
    network
        Whether it has one.
    role
        ARN of the role that its credentials are for.
    patterns
        Metric names and the patterns that find their values in the log.
    exit_message
        Path below ``/opt/ml`` of the file with its last words.
    instance
        How much of the machine each host may use.
    python, readable
        The interpreter of the environment it runs in, and that environment's folder; empty: the
        server's own.
    """

    runtime: Runtime
    hosts: Sequence[str]
    sources: Sequence[Source]
    targets: Sequence[Target]
    resources: tuple[str, JsonObject]
    beside: Sequence[Runtime] = ()
    argv: Sequence[str] = ()
    program: Sequence[str] = ()
    cwd: str = ROOT
    environment: Mapping[str, str] = field(default_factory=dict)
    documents: Mapping[str, JsonObject] = field(default_factory=dict)
    directories: Sequence[str] = ()
    limit_s: float = 86_400.0
    network: bool = True
    role: str = ""
    patterns: Sequence[tuple[str, str]] = ()
    exit_message: str = "output/failure"
    instance: Instance = field(default_factory=Instance)
    python: str = ""
    readable: Sequence[Path] = ()


def within(plan: Plan, folder: str) -> Plan:
    """Put what a job leaves behind into a folder of a ``/opt/ml`` that it shared."""
    targets = [replace(one, path=f"{folder}/{one.path}") for one in plan.targets]
    return replace(plan, targets=targets, exit_message=f"{folder}/{plan.exit_message}")


def below_root(path: str, *, field: str) -> str:
    """Turn an absolute container path into one relative to ``/opt/ml``.

    Raises
    ------
    InvalidInput
        It is not below ``/opt/ml``; names ``field``.

    Examples
    --------
    >>> below_root("/opt/ml/processing/input/", field="LocalPath")
    'processing/input'
    """
    clean = posixpath.normpath(path)
    inside = clean.startswith(ROOT + "/") and "\0" not in clean
    if not inside or not path.startswith("/"):
        raise InvalidInput(field, f"{path!r} is no directory for data", legal="below /opt/ml/")
    return clean.removeprefix(ROOT + "/")


def split_uri(uri: str, *, field: str) -> tuple[str, str]:
    """Split ``s3://bucket/key``.

    Raises
    ------
    InvalidInput
        It is none; names ``field``.
    """
    scheme, separator, rest = uri.partition("://")
    bucket, _, key = rest.partition("/")
    if scheme != "s3" or not separator or not bucket:
        raise InvalidInput(
            field, f"{uri!r} names nothing that can be read", legal="s3://bucket/key"
        )
    return bucket, key


def join_uri(*parts: str) -> str:
    """Join an S3 URI and the parts below it with single slashes.

    Examples
    --------
    >>> join_uri("s3://b/a/", "output", "model.tar.gz")
    's3://b/a/output/model.tar.gz'
    """
    return "/".join(part.rstrip("/") for part in parts)
