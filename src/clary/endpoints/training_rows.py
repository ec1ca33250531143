"""Rows of the data that a model was trained on, found by lineage: a sample to verify it by."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clary.jobs.contract import split_uri
from clary.kernel.errors import ClaryError
from clary.lineage.trees import of_content

if TYPE_CHECKING:
    from clary.kernel.names import Ref
    from clary.kernel.ports import MetadataStore, ObjectStore
    from clary.lineage.model import Artifact
    from clary.lineage.service import Lineage

MOST_BYTES = 256 << 10
_CHANNEL = "train"
_MADE_BY = "training-job"


def training_rows(
    store: MetadataStore, objects: ObjectStore, lineage: Lineage, near: Ref, sha256: str
) -> bytes:
    """Return whole lines from the beginning of the training data of the job that made a model.

    Parameters
    ----------
    near
        Any name in the account and region where the model was trained.
    sha256
        The digest of its artifact.

    Returns
    -------
    bytes
        At most 256 KiB, in whatever format the job read; empty where nothing is known, or the
        data is gone.
    """
    copies = [found.ref for found in store.select(of_content(near, sha256)).items]
    links = store.links(*copies, incoming=True) if copies else ()
    jobs = [link.source for link in links if link.kind == "Produced"]
    for job in (job for job in jobs if job.kind == _MADE_BY):
        for role, artifact in lineage.used(job):
            if role == _CHANNEL and (found := _beginning(objects, artifact)):
                return found
    return b""


def _beginning(objects: ObjectStore, artifact: Artifact) -> bytes:
    """Read the first lines of an object, or of a tree's first file that has any."""
    try:
        bucket, key = split_uri(artifact.uri, field="train")
        keys = [f"{key.rstrip('/')}/{file.path}" for file in artifact.files if file.size_bytes]
        one = keys[0] if keys else key
        found = b"".join(objects.read(bucket, one, end=MOST_BYTES))
    except ClaryError:  # it has been removed or renamed since
        return b""
    whole = len(found) < MOST_BYTES
    return found if whole else found[: found.rfind(b"\n") + 1]
