"""The session that flows read and write in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clary.doors.python.session import session
from clary.features.model import FEATURE_GROUP
from clary.flows.stored import Stored

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import pyarrow as pa


def stored() -> Stored:
    """Give what the session that was connected last has, or the default home."""
    opened = session()

    def group(name: str) -> pa.Table:
        ref = opened.ref(FEATURE_GROUP, name)
        return opened.platform.feature_store.histories.frame(ref)

    def ingest(name: str, file: Path, kept: Mapping[str, bytes]) -> int:
        ingestion, ref = opened.platform.feature_store.ingestion, opened.ref(FEATURE_GROUP, name)
        return ingestion.fill(ref, file, opened.bucket, kept, actor=opened.actor)

    return Stored(opened.platform.objects, group, ingest)
