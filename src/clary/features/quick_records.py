"""Records for whoever must not wait: what is at hand, in microseconds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clary.features.records import counts
from clary.kernel.clock import now_us

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clary.features.model import Record
    from clary.features.ports import QuickReads
    from clary.features.records import Group
    from clary.features.service import Features
    from clary.kernel.names import Ref

MOST_KEYS = 200
MOST_BYTES = 128 << 10
"""Decoding and writing so much takes a millisecond."""


class QuickRecords:
    """Reads latest records where neither a disk, a server nor another thread is waited for.

    Parameters
    ----------
    features
        Knows the groups.
    online
        Where the records are.
    """

    def __init__(self, features: Features, online: QuickReads) -> None:
        self._features = features
        self._online = online

    def group(self, ref: Ref) -> Group | None:
        """Give a group whose records may be read here: known, online, and without limits."""
        group = self._features.at_hand(ref)
        return group if group and group.is_online and group.read_units is None else None

    def find(self, asked: Sequence[tuple[Group, Sequence[str]]]) -> Sequence[Record | None] | None:
        """Read the records of keys of groups, in their order; None inside where there is none.

        None at all when it would take long, or a key is not plain.
        """
        pairs = [(group.online_table, key) for group, keys in asked for key in keys]
        if len(pairs) > MOST_KEYS:
            return None
        if not all(group.are_filed(keys) for group, keys in asked):
            return None
        found = self._online.peek(pairs, MOST_BYTES)
        if found is None:
            return None
        at_us = now_us()
        return [one if one is not None and counts(one, at_us) else None for one in found]
