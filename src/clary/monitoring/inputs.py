"""What there is to look at in a window: captures, manifests of batches, and labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from clary.endpoints import body
from clary.endpoints.captures import destination
from clary.endpoints.model import ENDPOINT
from clary.jobs.contract import split_uri
from clary.kernel.codec import from_json
from clary.kernel.errors import InvalidInput, LimitExceeded, NotFound
from clary.monitoring.windows import SPAN, Window, covered

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime

    from clary.kernel.names import Ref
    from clary.kernel.ports import ObjectStore
    from clary.kernel.resource import ObjectInfo, Resource

_MOST_OBJECTS = 100_000
_MANIFEST_BYTES = 16 << 20
_PAGE = 1000


@dataclass(frozen=True, slots=True)
class Data:
    """Objects of one bucket to mount together: their keys are ``prefix`` and one of ``names``."""

    bucket: str
    prefix: str
    names: Sequence[str]

    @property
    def manifest(self) -> list[dict[str, str] | str]:
        """Name them as S3 manifests do."""
        return [{"prefix": f"s3://{self.bucket}/{self.prefix}"}, *self.names]


def captures(
    objects: ObjectStore, get: Callable[[Ref], Resource | None], endpoint: Ref, window: Window
) -> list[Data]:
    """Find the objects that hold an endpoint's captures of a window, and some around it.

    Raises
    ------
    NotFound
        There is no such endpoint, or its captures' bucket is gone.
    InvalidInput
        The endpoint captures nothing.
    LimitExceeded
        They are too many for one execution.
    """
    bucket, prefix = destination(_capture_uri(get, endpoint))
    home = f"{prefix}/" if prefix else ""
    folder = f"{home}{endpoint.name}/"
    variants = objects.list(bucket, prefix=folder, delimiter="/").prefixes
    keys = [
        one.key for variant in variants for one in _written_in(objects, bucket, variant, window)
    ]
    return _data(bucket, home, keys)


def check_captured(get: Callable[[Ref], Resource | None], endpoint: Ref) -> None:
    """Refuse an endpoint that is not there or captures nothing; see ``captures``."""
    found = get(endpoint)
    if found is None or found.status not in {"Creating", "Updating"}:
        _capture_uri(get, endpoint)


def labels(objects: ObjectStore, uri: str, window: Window, until: datetime) -> list[Data]:
    """Find the labels collected since the hour in which a window begins, until a moment.

    Raises
    ------
    NotFound
        Their bucket is gone.
    LimitExceeded
        They are too many for one execution.
    """
    bucket, prefix = split_uri(uri, field="GroundTruthS3Input.S3Uri")
    home = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
    since = window.start.replace(minute=0, second=0, microsecond=0)
    wide = Window(since, max(until, window.end))
    return _data(bucket, home, [one.key for one in _written_in(objects, bucket, home, wide)])


def batches(objects: ObjectStore, uri: str, side: str, window: Window) -> list[Data]:
    """Find the objects that the manifests of captured batches name.

    Parameters
    ----------
    side
        ``input``: what was transformed; ``output``: what came of it.

    Raises
    ------
    NotFound
        The captures' bucket is gone.
    InvalidInput, LimitExceeded
        A manifest is none, or they name too many objects.
    """
    bucket, prefix = split_uri(uri, field="DataCapturedDestinationS3Uri")
    home = "/".join(filter(None, (prefix.strip("/"), side))) + "/"
    found: dict[str, dict[str, None]] = {}
    for one in _written_in(objects, bucket, home, window):
        for place in named_by(objects, one):
            where, key = split_uri(place, field=one.key)
            found.setdefault(where, {})[key] = None
    return [data for where, keys in found.items() for data in _data(where, "", list(keys))]


def _capture_uri(get: Callable[[Ref], Resource | None], endpoint: Ref) -> str:
    found = get(endpoint)
    if found is None or found.ref.kind != ENDPOINT:
        raise NotFound(endpoint)
    capture = body.read(found).capture
    if capture is None:
        hint = "DataCaptureConfig of its configuration turns it on"
        raise InvalidInput("EndpointName", f"{endpoint} captures nothing", hint=hint)
    return capture.destination


def _written_in(
    objects: ObjectStore, bucket: str, folder: str, window: Window
) -> Iterator[ObjectInfo]:
    """Yield the objects below a folder of hours that may hold something of a window."""
    after = f"{folder}{window.start - SPAN:%Y/%m/%d/%H}"
    while True:
        page = objects.list(bucket, prefix=folder, after=after, limit=_PAGE)
        for one in page.objects:
            when = covered(one.key)
            if when is not None and when.start >= window.end:
                return
            if when is not None and when.meets(window):
                yield one
        after = page.next_after
        if not after:
            return


def named_by(objects: ObjectStore, manifest: ObjectInfo) -> Iterator[str]:
    """Yield the URIs that the manifests in an object name, one manifest a line."""
    place = f"s3://{manifest.bucket}/{manifest.key}"
    if manifest.size_bytes > _MANIFEST_BYTES:
        raise LimitExceeded(f"{place} is {manifest.size_bytes} bytes, at most {_MANIFEST_BYTES}")
    text = b"".join(objects.read(manifest.bucket, manifest.key))
    for line in filter(None, text.splitlines()):
        document = from_json(line, field=place)
        whole = isinstance(document, list) and document and isinstance(document[0], dict)
        prefix = document[0].get("prefix") if whole else None
        if not isinstance(prefix, str) or not all(isinstance(one, str) for one in document[1:]):
            raise InvalidInput(place, "is no manifest", legal='[{"prefix": "s3://…"}, "name", …]')
        yield from (f"{prefix}{name}" for name in document[1:])


def _data(bucket: str, prefix: str, keys: Sequence[str]) -> list[Data]:
    if len(keys) > _MOST_OBJECTS:
        raise LimitExceeded(
            f"{len(keys)} objects are to be looked at, at most {_MOST_OBJECTS}",
            hint="choose a shorter window",
        )
    names = [key.removeprefix(prefix) for key in keys]
    return [Data(bucket, prefix, names)] if names else []
