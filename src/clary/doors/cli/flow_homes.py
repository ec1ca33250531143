"""The home that a flow of the command line reads and writes in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clary.doors.cli.homes import find_one, open_home
from clary.features.model import FEATURE_GROUP
from clary.flows.stored import Stored

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import pyarrow as pa

    from clary.kernel.names import Ref


def stored(home: Path | None) -> Stored:
    """Give what a home has.

    Raises
    ------
    NotFound
        There is no home.
    """
    platform = open_home(home)
    owner, store = platform.governance.owner, platform.feature_store

    def named(name: str) -> Ref:
        return find_one(platform.store.select, [FEATURE_GROUP], owner.account, name).ref

    def group(name: str) -> pa.Table:
        found: pa.Table = store.histories.frame(named(name))
        return found

    def ingest(name: str, file: Path, kept: Mapping[str, bytes]) -> int:
        ref = named(name)
        bucket = f"sagemaker-{ref.region}-{ref.account}"
        return store.ingestion.fill(ref, file, bucket, kept, actor=owner.principal_arn)

    return Stored(platform.objects, group, ingest)
