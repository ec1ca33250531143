"""The home that a flow of the command line reads and writes in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clary.doors.cli.homes import find_one, open_home
from clary.features.model import FEATURE_GROUP
from clary.flows.stored import Stored

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa


def stored(home: Path | None) -> Stored:
    """Give what a home has.

    Raises
    ------
    NotFound
        There is no home.
    """
    platform = open_home(home)

    def group(name: str) -> pa.Table:
        account = platform.governance.owner.account
        ref = find_one(platform.store.select, [FEATURE_GROUP], account, name).ref
        found: pa.Table = platform.feature_store.histories.frame(ref)
        return found

    return Stored(platform.objects, group)
