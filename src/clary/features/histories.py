"""What was: every record of an entity, and all entities as they were at a time."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from clary.features.queries import HISTORY, LATEST, TIMEOUT_S, Limits, Select
from clary.features.statistics import offline
from clary.features.values import event_time_us
from clary.kernel.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Mapping

    from clary.features.model import FeatureType
    from clary.features.queries import Queries
    from clary.features.retention import Retention
    from clary.features.service import Features
    from clary.kernel.names import Ref

_CASTS: Mapping[FeatureType, str] = {
    "Integral": "BIGINT",
    "Fractional": "DOUBLE",
    "String": "VARCHAR",
}


class Histories:
    """Reads the history of groups.

    Parameters
    ----------
    features, queries
        The groups, and who answers.
    retention
        What was removed.
    """

    def __init__(self, features: Features, queries: Queries, retention: Retention) -> None:
        self._features = features
        self._queries = queries
        self._retention = retention

    def of(self, ref: Ref, key: object) -> list[dict[str, Any]]:
        """Read every record there is of an entity, the earliest first.

        By feature, and ``write_time`` and ``is_deleted``.

        Raises
        ------
        NotFound
            There is no such group.
        InvalidInput
            It has no offline store, or the key is not of its identifier's type.
        """
        group = offline(self._features.group(ref))
        schema = group.schema
        kind = schema.features[group.place(schema.identifier)].kind
        text = (
            f"SELECT * EXCLUDE (api_invocation_time) FROM {HISTORY}.{_quoted(ref.name)} "  # noqa: S608 - quoted
            f"WHERE {_quoted(schema.identifier)} = "
            f"CAST({_literal(group.key(key))} AS {_CASTS[kind]})"
        )
        rows = self._queries.run(text, account=ref.account, region=ref.region).to_pylist()
        return sorted(
            rows, key=lambda row: (event_time_us(row[schema.event_time]), row["write_time"])
        )

    def frame(self, ref: Ref, at_us: int | None = None, known_us: int | None = None) -> Any:
        """Give the features of all entities as they were at a time, as an Arrow table.

        Parameters
        ----------
        at_us
            Microseconds since 1970; None: now.
        known_us
            Only what had been written until then counts; None: all that is known now.

        Raises
        ------
        NotFound
            There is no such group.
        InvalidInput
            It has no offline store, or what was true then was removed by its retention.
        """
        group = offline(self._features.group(ref))
        removed_us = self._retention.of(group).removed_before_us
        if at_us is not None and removed_us is not None and at_us < removed_us:
            moment = datetime.fromtimestamp(removed_us / 1e6, UTC).isoformat(timespec="seconds")
            raise InvalidInput(
                "at",
                f"the rows of {ref.name} from before {moment} were removed by its retention",
                legal=f"{moment} or later; training sets made before it can be made again",
            )
        name = (LATEST, ref.name.lower())
        latest = self._queries.rows_of(group, name, is_latest=True)
        table = replace(latest, until_us=at_us, known_us=known_us)
        names = ", ".join(_quoted(one.name) for one in group.schema.features)
        text = f"SELECT {names} FROM {LATEST}.{_quoted(ref.name.lower())}"  # noqa: S608 - quoted
        return self._queries.engine.table(Select(text, [name]), [table], Limits(TIMEOUT_S))


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
