"""The session that flows read and write in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clary.doors.python.session import session
from clary.features.model import FEATURE_GROUP
from clary.flows.stored import Stored

if TYPE_CHECKING:
    import pyarrow as pa


def stored() -> Stored:
    """Give what the session that was connected last has, or the default home."""
    opened = session()

    def group(name: str) -> pa.Table:
        ref = opened.ref(FEATURE_GROUP, name)
        return opened.platform.feature_store.histories.frame(ref)

    return Stored(opened.platform.objects, group)
