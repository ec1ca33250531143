"""Sends what a program addresses to AWS by name to the platform instead.

botocore loads this module when ``BOTOCORE_EXPERIMENTAL__PLUGINS`` names it. ``AWS_ENDPOINT_URL``
covers every client made without an endpoint; the SageMaker SDK makes its STS client with an
explicit one, and a few others may.
"""

from __future__ import annotations

import os
import re
from typing import Any
from urllib.parse import urlsplit, urlunsplit

_AWS = re.compile(r"(?:.+\.)?(?:amazonaws\.com(?:\.cn)?|api\.aws)")
_BUCKET = re.compile(r"(.+)\.s3[.-](?:[a-z0-9-]+\.)*amazonaws\.com(?:\.cn)?")


def initialize_client_plugin(client: Any) -> None:
    """Rewrite the client's requests before they are signed."""
    service = client.meta.service_model.service_id.hyphenize()
    client.meta.events.register_first(f"request-created.{service}", _redirect)


def _redirect(request: Any, **_: Any) -> None:
    request.url = rewrite(request.url, os.environ.get("AWS_ENDPOINT_URL", ""))


def rewrite(url: str, endpoint: str) -> str:
    """Return ``url`` at ``endpoint`` if it points at AWS, else as it is.

    A bucket in the host name moves to the front of the path.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    if not endpoint or _AWS.fullmatch(host) is None:
        return url
    target = urlsplit(endpoint)
    bucket = _BUCKET.fullmatch(host)
    path = f"/{bucket[1]}{parts.path}" if bucket else parts.path
    return urlunsplit((target.scheme, target.netloc, path, parts.query, parts.fragment))
