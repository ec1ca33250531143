"""What people say of groups and features, and all that is known of a group in one document."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from clary.features import groups
from clary.features.model import FEATURE_GROUP
from clary.kernel.clock import now
from clary.kernel.codec import plain
from clary.kernel.errors import InvalidInput
from clary.kernel.resource import Event

if TYPE_CHECKING:
    from collections.abc import Mapping

    from clary.features.discovery import Discovery
    from clary.features.retention import Retention
    from clary.features.service import Features
    from clary.kernel.names import Ref
    from clary.kernel.ports import MetadataStore

_LONGEST_DESCRIPTION = 128
_MOST_TAGS = 50
_LONGEST_KEY, _LONGEST_VALUE = 128, 256


class Annotations:
    """Says and reads what groups and features mean.

    Parameters
    ----------
    store
        Where groups and their tags are.
    features, discovery, retention
        What is known of groups.
    """

    def __init__(
        self, store: MetadataStore, features: Features, discovery: Discovery, retention: Retention
    ) -> None:
        self._store = store
        self._features = features
        self._discovery = discovery
        self._retention = retention

    def annotate(
        self,
        ref: Ref,
        feature: str,
        description: str | None,
        tags: Mapping[str, str | None],
        *,
        actor: str,
    ) -> None:
        """Say what a group, or a feature of it, means.

        Parameters
        ----------
        feature
            Empty: the group itself.
        description
            None: as it is.
        tags
            Tags of the group or parameters of the feature to set; those that are None are removed.

        Raises
        ------
        NotFound
            There is no such group or feature.
        InvalidInput, LimitExceeded
            A text is too long, or there are too many tags.
        """
        if feature:
            request: dict[str, Any] = {
                "ParameterAdditions": [
                    {"Key": key, "Value": value} for key, value in tags.items() if value is not None
                ],
                "ParameterRemovals": [key for key, value in tags.items() if value is None],
            }
            if description is not None:
                request["Description"] = description
            self._features.update_feature(ref, feature, request, actor=actor)
            return
        _check(description or "", tags)
        with self._store.begin() as change:
            found = groups.created(change, ref)
            if description is not None:
                asked = {**found.body["request"], "Description": description}
                change.update(replace(found, body={**found.body, "request": asked}))
            change.tag(ref, tags)
            detail = {"description": description, "tags": dict(tags)}
            change.append(Event(now(), actor, f"{FEATURE_GROUP}.annotated", ref, detail))

    def describe(self, ref: Ref) -> dict[str, Any]:
        """Give what is known of a group, by words that people use. Raises NotFound."""
        document, group = self._features.describe(ref), self._features.group(ref)
        said, features = self._discovery.said(ref), []
        for one in group.schema.features:
            told = self._features.describe_feature(ref, one.name)
            features.append(
                {
                    "feature": one.name,
                    "type": f"{one.collection} of {one.kind}" if one.collection else one.kind,
                    "description": told.get("Description", ""),
                    "parameters": {pair["Key"]: pair["Value"] for pair in told["Parameters"]},
                }
            )
        return {
            "name": ref.name,
            "description": said.description,
            "owner": said.owner,
            "tags": said.tags,
            "created": document["CreationTime"],
            "identifier": group.schema.identifier,
            "event_time": group.schema.event_time,
            "online": group.is_online,
            "offline": group.is_offline,
            "ttl_s": None if group.ttl_us is None else group.ttl_us / 1e6,
            "table": group.offline_table and f"s3://{group.offline_table}",
            "freshness": plain(self._discovery.recency(ref)),
            "retention": plain(self._retention.of(group)),
            "features": features,
        }


def _check(description: str, tags: Mapping[str, str | None]) -> None:
    if len(description) > _LONGEST_DESCRIPTION:
        raise InvalidInput(
            "description", f"has {len(description)} characters", legal=str(_LONGEST_DESCRIPTION)
        )
    if len(tags) > _MOST_TAGS:
        raise InvalidInput("tags", f"{len(tags)} of them", legal=f"at most {_MOST_TAGS}")
    for key, value in tags.items():
        if not 0 < len(key) <= _LONGEST_KEY or len(value or "") > _LONGEST_VALUE:
            raise InvalidInput(
                "tags",
                f"{key[:_LONGEST_KEY]!r} or its value is too long or empty",
                legal=f"1 to {_LONGEST_KEY} characters, and up to {_LONGEST_VALUE} of a value",
            )
