"""Which store of online records a setting names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clary.adapters.lmdb_records import LmdbRecords
from clary.adapters.redis_records import RedisRecords
from clary.kernel.errors import InvalidInput

if TYPE_CHECKING:
    from pathlib import Path

    from clary.features.ports import OnlineRecords

_REDIS = ("redis://", "rediss://", "unix://")


def online_records(setting: str, folder: Path, *, is_relaxed: bool = False) -> OnlineRecords:
    """Make the store that ``Config.online`` names; LMDB's is in ``folder``.

    Parameters
    ----------
    is_relaxed
        Take ``lmdb:`` as ``lmdb:relaxed``.

    Raises
    ------
    InvalidInput
        It names none.
    NotSupported
        It names Redis, whose client is not installed.
    """
    if setting in {"lmdb:", "lmdb:relaxed"}:
        return LmdbRecords(folder, is_relaxed=is_relaxed or setting == "lmdb:relaxed")
    if setting.startswith(_REDIS):
        return RedisRecords(setting)
    scheme = setting.partition(":")[0]  # the rest may hold a password
    raise InvalidInput(
        "online", f"{scheme!r} names no store", legal=f"lmdb:, lmdb:relaxed, {', '.join(_REDIS)}"
    )
