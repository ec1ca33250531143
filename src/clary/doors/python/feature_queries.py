"""``clary.features``: all feature groups of the session that was connected last."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from clary.doors.python.features import FeatureGroup
from clary.doors.python.session import session
from clary.features.model import FEATURE_GROUP
from clary.features.training_sets import TRAINING_SET, Wanted, new_name
from clary.kernel.codec import plain
from clary.kernel.errors import InvalidInput

if TYPE_CHECKING:
    import builtins
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from clary.features.point_in_time import Form

__all__ = ["delete", "list", "search", "sql", "training_set"]
_PAUSE_S = 0.02
_FORMS = ("pandas", "polars", "arrow")


def list() -> builtins.list[FeatureGroup]:  # noqa: A001 - clary.features.list
    """Find all feature groups, by name."""
    opened = session()
    groups = opened.platform.features.groups(opened.account, opened.platform.config.region)
    return [FeatureGroup(one.ref.name) for one in groups]


def search(
    text: str = "", *, tags: Mapping[str, str] | None = None, owner: str = ""
) -> builtins.list[dict[str, Any]]:
    """Find groups and features; those whose names fit best come first.

    Parameters
    ----------
    text
        Words that all occur in the name, the description, the tags or the parameters.
    tags
        Tags of the group, or parameters of the feature, that it has.
    owner
        Whose it is.
    """
    opened = session()
    found = opened.platform.feature_store.discovery.search(
        opened.ref(FEATURE_GROUP, ""), text, tags=tags, owner=owner
    )
    return [plain(one) for one in found]


def delete(name: str) -> None:
    """Delete a feature group and its online records, and wait until it is gone.

    Its history stays in the bucket, as with SageMaker; ``FeatureGroup.erase`` removes that of an
    entity. Raises NotFound when there is no such group.
    """
    opened = session()
    ref = opened.ref(FEATURE_GROUP, name)
    features = opened.platform.features
    features.group(ref)
    features.delete(ref, actor=opened.actor)
    opened.work()
    while opened.platform.store.get(ref) is not None:
        time.sleep(_PAUSE_S)


def sql(text: str, *, form: Form = "pandas") -> Any:
    """Answer a query over groups in DuckDB's SQL.

    Parameters
    ----------
    text
        A group's name is a table of the latest record of every entity; ``history.<group>`` has
        all records.
    form
        ``pandas``, ``polars`` or ``arrow``.

    Raises
    ------
    InvalidInput
        It is no query, or names what is not there.
    LimitExceeded
        It takes longer than ten minutes, or more memory than there is for it.
    """
    _refuse_other(form)
    opened = session()
    store, region = opened.platform.feature_store, opened.platform.config.region
    answer = store.queries.run(text, account=opened.account, region=region)
    return store.frames.convert(answer, form)


def training_set(  # noqa: PLR0913 - each is a named part of the question
    labels: Any,
    features: Sequence[str],
    *,
    time: str = "event_time",
    keys: Mapping[str, str] | None = None,
    known_at: datetime | str | None = None,
    name: str = "",
    form: Form = "pandas",
    to: str = "",
) -> Any:
    """Join labels with the features that were true at their times.

    Parameters
    ----------
    labels
        An Arrow table, a pandas or a Polars frame, with the times and the identifiers.
    features
        ``group.feature`` each, or ``group.*``.
    time
        The column of the labels' times.
    keys
        By group, the column of its identifier where it is called otherwise.
    known_at
        Only what had been written until then counts: a moment, or a column of moments.
    name
        What the training set is called, to find it again.
    form
        ``pandas``, ``polars`` or ``arrow``.
    to
        An ``s3://….parquet`` where it is written down too: what is trained on that knows this set.

    Raises
    ------
    InvalidInput
        A feature is none, a column is missing, or a value cannot be read.
    NotFound
        There is no such group.
    """
    _refuse_other(form)
    opened = session()
    ref = opened.ref(TRAINING_SET, name or new_name())
    wanted = Wanted(features, time, keys, known_at)
    store = opened.platform.feature_store
    made = store.training_sets.make(ref, labels, wanted, actor=opened.actor)
    if to:
        store.exports.write(made, to, actor=opened.actor)
    return made.to(form)


def _refuse_other(form: str) -> None:
    if form not in _FORMS:
        raise InvalidInput("form", f"{form!r} is none", legal=", ".join(_FORMS))
