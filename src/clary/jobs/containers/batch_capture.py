"""What a transform job captures: manifests of the objects it read and of those it writes."""

from __future__ import annotations

import json
import os
import posixpath
import time

from job_files import ROOT, read_json

_FOLDER = ROOT / "output" / "capture"


def write(settings, names, began):
    """Write this host's two manifests, by the hour in which the job began.

    Parameters
    ----------
    settings
        ``Output``, the S3 URI that outputs go to.
    names
        The files that were transformed, below the input's directory.
    began
        When the job did, UTC.
    """
    if not names:
        return
    places = read_json("input/config/objects.json")
    host = read_json("input/config/resourceconfig.json")["current_host"]
    job = os.environ["TRANSFORM_JOB_NAME"]
    hour = time.strftime("%Y/%m/%d/%H", began)
    name = f"{time.strftime('%M-%S', began)}-{job}-{host}.jsonl"
    outputs = [f"{settings['Output'].rstrip('/')}/{one}.out" for one in names]
    for side, uris in (("input", [places[one] for one in names]), ("output", outputs)):
        file = _FOLDER / side / hour / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(manifest(uris)) + "\n", encoding="utf-8")


def manifest(uris):
    """List URIs as S3 manifests do: what they have in common, and then the rest of each."""
    prefix = posixpath.commonprefix([uri.rpartition("/")[0] + "/" for uri in uris])
    prefix = prefix[: prefix.rindex("/") + 1]
    return [{"prefix": prefix}, *(uri[len(prefix) :] for uri in uris)]
