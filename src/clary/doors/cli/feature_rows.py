"""How groups, features and their numbers are laid out in tables."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from clary.features.discovery import Recency
    from clary.features.statistics import FeatureStatistics, GroupStatistics
    from clary.kernel.ports import JsonObject
    from clary.kernel.resource import Resource

_WIDEST = 40
_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"), (0, "s"))


def group_row(found: Resource) -> dict[str, Any]:
    """Sum up a group."""
    request = found.body["request"]
    is_online = request.get("OnlineStoreConfig", {}).get("EnableOnlineStore")
    stores = {"online": is_online, "offline": "OfflineStoreConfig" in request}
    return {
        "feature group": found.ref.name,
        "status": found.status,
        "identifier": request["RecordIdentifierFeatureName"],
        "features": len(request["FeatureDefinitions"]),
        "stores": ", ".join(one for one, is_there in stores.items() if is_there),
        "created": found.created_at,
    }


def feature_row(document: JsonObject, one: JsonObject, said: JsonObject) -> dict[str, Any]:
    """Sum up what is said of a feature."""
    name, kind = one["FeatureName"], one["FeatureType"]
    roles = {
        document["RecordIdentifierFeatureName"]: "identifier",
        document["EventTimeFeatureName"]: "event time",
    }
    collection = one.get("CollectionType")
    return {
        "feature": name,
        "type": f"{collection} of {kind}" if collection else kind,
        "role": roles.get(name, ""),
        "description": said.get("Description", ""),
        "parameters": ", ".join(f"{pair['Key']}={pair['Value']}" for pair in said["Parameters"]),
    }


def freshness_row(fresh: Recency) -> dict[str, Any]:
    """Say how fresh a group is."""
    return {
        "rows": fresh.rows,
        "newest event": _moment(fresh.newest_event_us),
        "last write": _moment(fresh.newest_write_us),
        "age": "" if fresh.event_age_s is None else duration(fresh.event_age_s),
    }


def statistics_row(one: FeatureStatistics) -> dict[str, Any]:
    """Sum up a feature."""
    most = max(one.frequent, key=lambda found: found.count, default=None)
    whole = one.present + one.missing
    return {
        "feature": one.feature,
        "type": one.type,
        "missing": f"{one.missing / whole:.1%}" if whole else "",
        "distinct": one.distinct,
        "of": "length" if one.is_of_lengths else "value",
        "min": one.minimum,
        "median": one.quantiles.get("0.5"),
        "max": one.maximum,
        "mean": one.mean,
        "std": one.deviation,
        "most frequent": "" if most is None else f"{most.value} ({most.count})",
    }


def distribution_rows(one: FeatureStatistics) -> Iterator[Sequence[dict[str, Any]]]:
    """Draw the distribution of a feature, then list its frequent values."""
    most = max((bar.count for bar in one.histogram), default=0)
    if most:
        yield [
            {
                "from": bar.start,
                "to": bar.end,
                "count": bar.count,
                "": "█" * round(_WIDEST * bar.count / most),
            }
            for bar in one.histogram
        ]
    if one.frequent:
        yield [{"value": found.value, "count": found.count} for found in one.frequent]


def history_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """Write a record of history on one line."""
    return {
        name: ", ".join(map(str, value)) if isinstance(value, list) else value
        for name, value in row.items()
    }


def version_of(found: GroupStatistics) -> str:
    """Say what was counted."""
    measured = found.measured
    return (
        f"{measured.rows} rows of about {measured.entities} entities, {measured.deletions} of them"
        f" deletions; table version {found.version}, counted {found.at}"
    )


def duration(seconds: float) -> str:
    """Write how long ago something was.

    Examples
    --------
    >>> duration(90), duration(3 * 86_400 + 5)
    ('1 min', '3 d')
    """
    for size, unit in _UNITS:
        if seconds >= size:
            return f"{int(seconds // max(size, 1))} {unit}"
    return "0 s"


def _moment(at_us: int | None) -> datetime | None:
    return None if at_us is None else datetime.fromtimestamp(at_us / 1e6, UTC)
