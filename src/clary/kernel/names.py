"""Names of things: a ``Ref`` inside, an ARN where a public document or door wants one."""

from __future__ import annotations

import re
from dataclasses import dataclass

from clary.kernel.errors import InvalidInput, NotFound

DEFAULT_ACCOUNT = "123456789012"
DEFAULT_REGION = "us-east-1"

_ARN = re.compile(r"arn:aws[a-z-]*:([a-z0-9-]+):([a-z0-9-]*):([0-9]{12}|):(.+)")
_EXECUTION = re.compile(r"pipeline/([^/]+)/execution/([^/]+)")
_ROLE = re.compile(r"role/(.+)")
_VERSION = re.compile(r"(model-package|feature-view)/([^/]+)/([1-9][0-9]{0,8})")
_RESOURCE = re.compile(r"([a-z-]+)/([^/]+)")
_ELSEWHERE = {
    "queue": ("sqs", ""),
    "function": ("lambda", "function:"),
    "schedule": ("scheduler", "schedule/"),
    "schedule-group": ("scheduler", "schedule-group/"),
    "rule": ("events", "rule/"),
    "alarm": ("cloudwatch", "alarm:"),
    "scalable-target": ("application-autoscaling", "scalable-target/"),
    "scaling-policy": ("autoscaling", "scalingPolicy:"),
    "log-group": ("logs", "log-group:"),
}
"""Kinds of services beside SageMaker: the service, and what stands before the name."""


@dataclass(frozen=True, slots=True, order=True)
class Ref:
    """The full name of one resource.

    Parameters
    ----------
    account
        The 12-digit account that owns it.
    region
        The region it was made in; empty for what has none (roles, buckets).
    kind
        The resource's kind in the words of the field: ``training-job``, ``model-package``.
    name
        Unique within account, region and kind. A pipeline execution's name is
        ``<pipeline>/<execution id>``; a pipeline step's ``<pipeline>/<execution id>/<step>``.
    version
        A positive number for versioned kinds, else 0.
    """

    account: str
    region: str
    kind: str
    name: str
    version: int = 0

    def __str__(self) -> str:
        """Say the kind and the name as a person would: ``model-package abalone/3``."""
        return f"{self.kind} {self.name}" + (f"/{self.version}" if self.version else "")

    def sibling(self, kind: str, name: str, version: int = 0) -> Ref:
        """Name another resource of the same account and region."""
        return Ref(self.account, self.region, kind, name, version)


def arn(ref: Ref) -> str:
    """Write ``ref`` as the ARN that AWS would give it.

    Examples
    --------
    >>> arn(Ref("123456789012", "us-east-1", "model-package", "abalone", 3))
    'arn:aws:sagemaker:us-east-1:123456789012:model-package/abalone/3'
    """
    if ref.kind == "role":
        return f"arn:aws:iam::{ref.account}:role/{ref.name}"
    if ref.kind == "bucket":
        return f"arn:aws:s3:::{ref.name}"
    if ref.kind in _ELSEWHERE:
        service, before = _ELSEWHERE[ref.kind]
        return f"arn:aws:{service}:{ref.region}:{ref.account}:{before}{ref.name}"
    path = f"{ref.kind}/{ref.name}"
    if ref.kind == "pipeline-execution":
        pipeline, _, execution = ref.name.partition("/")
        path = f"pipeline/{pipeline}/execution/{execution}"
    elif ref.version:
        path = f"{path}/{ref.version}"
    return f"arn:aws:sagemaker:{ref.region}:{ref.account}:{path}"


def parse_arn(text: str, *, field: str = "Arn") -> Ref:
    """Read an ARN back into a ``Ref``.

    Raises
    ------
    InvalidInput
        ``text`` is no ARN of a kind that has one here; names ``field``.
    """
    match = _ARN.fullmatch(text)
    if match is None:
        raise InvalidInput(field, f"{text!r} is not an ARN")
    service, region, account, path = match.groups()
    if service == "s3":
        return Ref(account, "", "bucket", path)
    if service == "iam" and (role := _ROLE.fullmatch(path)):
        return Ref(account, "", "role", role[1])
    if service == "sagemaker":
        ref = _sagemaker_ref(account, region, path)
    else:
        ref = _other_ref(service, account, region, path)
    if ref is None:
        raise InvalidInput(field, f"{text!r} names no resource of a kind that is known here")
    return ref


def _sagemaker_ref(account: str, region: str, path: str) -> Ref | None:
    if execution := _EXECUTION.fullmatch(path):
        return Ref(account, region, "pipeline-execution", "/".join(execution.groups()))
    if versioned := _VERSION.fullmatch(path):
        return Ref(account, region, versioned[1], versioned[2], int(versioned[3]))
    if plain := _RESOURCE.fullmatch(path):
        return Ref(account, region, plain[1], plain[2])
    return None


def _other_ref(service: str, account: str, region: str, path: str) -> Ref | None:
    for kind, (of, before) in _ELSEWHERE.items():
        if of == service and path.startswith(before) and len(path) > len(before):
            return Ref(account, region, kind, path.removeprefix(before))
    return None


def parse_name(text: str, kind: str, *, account: str, region: str, field: str) -> Ref:
    """Read the ARN or bare name (``abalone``, ``abalone/3``) of a resource of one kind.

    Raises
    ------
    InvalidInput
        It names something else; names ``field``.
    NotFound
        It lies in another account.

    Examples
    --------
    >>> where = {"account": "123456789012", "region": "us-east-1", "field": "ModelPackageName"}
    >>> str(parse_name("abalone/3", "model-package", **where))
    'model-package abalone/3'
    """
    whole = (
        text if text.startswith("arn:") else f"arn:aws:sagemaker:{region}:{account}:{kind}/{text}"
    )
    ref = parse_arn(whole, field=field)
    if ref.kind != kind:
        raise InvalidInput(field, f"{text!r} is a {ref.kind}", legal=f"the name of a {kind}")
    if ref.account != account:
        raise NotFound(text)
    return ref
