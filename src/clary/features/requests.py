"""Typed views of the public requests on feature groups; the documents are kept verbatim.

What only says with which key or on which machine records are kept (``SecurityConfig``,
``StorageType``, ``TableFormat``) is kept and not acted on.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
from msgspec import Meta

from clary.features.model import CollectionType, Feature, FeatureType, Schema
from clary.kernel.codec import build
from clary.kernel.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from clary.kernel.ports import JsonObject

MOST_FEATURES = 2_500
_MICROSECONDS = {
    "Seconds": 1_000_000,
    "Minutes": 60_000_000,
    "Hours": 3_600_000_000,
    "Days": 86_400_000_000,
    "Weeks": 604_800_000_000,
}
_LONGEST_TTL_US = 36_525 * _MICROSECONDS["Days"]
_RESERVED = frozenset(
    {"is_deleted", "write_time", "api_invocation_time", "event_us", "write_us", "row"}
)
"""Columns that the offline store adds to every table."""
_PLAIN = re.compile(r"[A-Za-z0-9!_.*'()=@ +-]{1,255}")

Name = Annotated[str, Meta(pattern=r"\A[a-zA-Z0-9]([-_]*[a-zA-Z0-9]){0,63}\Z", max_length=64)]
Unit = Literal["Seconds", "Minutes", "Hours", "Days", "Weeks"]


class View(msgspec.Struct, frozen=True, rename="pascal"):
    """Some members of a request document."""


class Ttl(View, frozen=True):
    """How long a record counts online, from its event time on."""

    unit: Unit
    value: Annotated[int, Meta(ge=1)]

    @property
    def us(self) -> int:
        """The same in microseconds. Raises InvalidInput beyond a century."""
        length = self.value * _MICROSECONDS[self.unit]
        if length > _LONGEST_TTL_US:
            raise InvalidInput(
                "TtlDuration", f"{self.value} {self.unit} is too long", legal="at most 36525 Days"
            )
        return length


class VectorConfig(View, frozen=True):
    """The length of a vector."""

    dimension: Annotated[int, Meta(ge=1, le=8192)]


class CollectionConfig(View, frozen=True):
    """What is said of a collection."""

    vector_config: VectorConfig | None = None


class Definition(View, frozen=True):
    """One feature."""

    feature_name: Name
    feature_type: FeatureType
    collection_type: CollectionType | None = None
    collection_config: CollectionConfig | None = None


class OnlineStore(View, frozen=True):
    """Whether and how the latest records are kept."""

    enable_online_store: bool = False
    ttl_duration: Ttl | None = None


class Storage(View, frozen=True):
    """Where a table is said to be."""

    s3_uri: Annotated[str, Meta(max_length=1024)] = msgspec.field(name="S3Uri")


class TableName(View, frozen=True):
    """How SQL calls a table."""

    table_name: Annotated[str, Meta(min_length=1, max_length=255)]
    catalog: str
    database: str


class OfflineStore(View, frozen=True):
    """Whether and where all records are kept."""

    s3_storage_config: Storage = msgspec.field(name="S3StorageConfig")
    disable_glue_table_creation: bool = False
    data_catalog_config: TableName | None = None


class Throughput(View, frozen=True):
    """How many units a second may be read and written: 4 KiB and 1 KiB each."""

    throughput_mode: Literal["OnDemand", "Provisioned"] | None = None
    provisioned_read_capacity_units: Annotated[int, Meta(ge=0, le=10_000_000)] | None = None
    provisioned_write_capacity_units: Annotated[int, Meta(ge=0, le=10_000_000)] | None = None


class GroupRequest(View, frozen=True):
    """CreateFeatureGroup."""

    feature_group_name: Name
    record_identifier_feature_name: str
    event_time_feature_name: str
    feature_definitions: Annotated[list[Definition], Meta(min_length=1, max_length=MOST_FEATURES)]
    online_store_config: OnlineStore | None = None
    offline_store_config: OfflineStore | None = None
    throughput_config: Throughput | None = None

    @property
    def is_online(self) -> bool:
        """Whether the latest records are kept."""
        return self.online_store_config is not None and self.online_store_config.enable_online_store

    @property
    def ttl_us(self) -> int | None:
        """How long a record counts online when it does not say so itself."""
        online = self.online_store_config
        return online.ttl_duration.us if online and online.ttl_duration else None

    @property
    def units(self) -> tuple[int | None, int | None]:
        """How many units are read and written in a second; None: any number."""
        asked = self.throughput_config
        if asked is None or asked.throughput_mode != "Provisioned":
            return None, None
        return asked.provisioned_read_capacity_units, asked.provisioned_write_capacity_units


class OnlineChange(View, frozen=True):
    """What may change of the online store."""

    ttl_duration: Ttl | None = None


class GroupChange(View, frozen=True):
    """UpdateFeatureGroup."""

    feature_additions: Annotated[list[Definition], Meta(max_length=100)] = msgspec.field(
        default_factory=list
    )
    online_store_config: OnlineChange | None = None
    throughput_config: Throughput | None = None


class Parameter(View, frozen=True):
    """What a user says of a feature."""

    key: Annotated[str, Meta(min_length=1, max_length=255)]
    value: Annotated[str, Meta(max_length=255)] = ""


class FeatureChange(View, frozen=True):
    """UpdateFeatureMetadata."""

    description: Annotated[str, Meta(max_length=255)] | None = None
    parameter_additions: list[Parameter] = msgspec.field(default_factory=list)
    parameter_removals: list[str] = msgspec.field(default_factory=list)


def group(document: JsonObject) -> GroupRequest:
    """Read and check a CreateFeatureGroup document.

    Raises
    ------
    InvalidInput
        A member is malformed, or the features do not make a group; names the feature.
    """
    view = build(GroupRequest, document)
    if not (view.is_online or view.offline_store_config):
        raise InvalidInput(
            "", "a group without a store", legal="OnlineStoreConfig, OfflineStoreConfig or both"
        )
    throughput(view.throughput_config)
    if view.offline_store_config:
        place(view.offline_store_config.s3_storage_config.s3_uri)
    if view.ttl_us is not None and not view.is_online:
        raise InvalidInput(
            "OnlineStoreConfig.TtlDuration", "the online store is off", legal="EnableOnlineStore"
        )
    schema(view)
    return view


def place(uri: str) -> None:
    """Refuse an S3 URI that no table can lie below; names S3Uri."""
    parts = uri.removesuffix("/").split("/")
    if parts[:2] != ["s3:", ""] or len(parts) < 3 or not all(map(_is_plain, parts[2:])):
        raise InvalidInput(
            "OfflineStoreConfig.S3StorageConfig.S3Uri",
            f"no table can lie below {uri!r}",
            legal="s3://bucket/prefix, without empty parts, '.' and '..'",
        )


def _is_plain(part: str) -> bool:
    return _PLAIN.fullmatch(part) is not None and not part.startswith(".")


def throughput(asked: Throughput | None) -> None:
    """Refuse units that do not fit the mode; names ThroughputConfig."""
    if asked is None:
        return
    given = (asked.provisioned_read_capacity_units, asked.provisioned_write_capacity_units)
    if asked.throughput_mode == "Provisioned" and None in given:
        raise InvalidInput(
            "ThroughputConfig",
            "Provisioned without its units",
            legal="ProvisionedReadCapacityUnits and ProvisionedWriteCapacityUnits",
        )
    if asked.throughput_mode == "OnDemand" and given != (None, None):
        raise InvalidInput(
            "ThroughputConfig", "OnDemand has no capacity units", legal="the mode Provisioned"
        )


def schema(view: GroupRequest, version: int = 1) -> Schema:
    """Make the schema of a group.

    Raises
    ------
    InvalidInput
        A name is there twice or reserved, a collection is malformed, or the identifier or the
        event time is no feature that can be one; names the feature.
    """
    made = features(view.feature_definitions)
    named = {feature.name: feature for feature in made}
    identifier = named.get(view.record_identifier_feature_name)
    if identifier is None or identifier.collection:
        raise InvalidInput(
            "RecordIdentifierFeatureName",
            f"{view.record_identifier_feature_name!r} is no feature that can identify",
            legal="the name of a feature that is no collection",
        )
    event_time = named.get(view.event_time_feature_name)
    if event_time is None or event_time.collection or event_time.kind == "Integral":
        raise InvalidInput(
            "EventTimeFeatureName",
            f"{view.event_time_feature_name!r} is no feature that can be the event time",
            legal="the name of a feature of type String or Fractional",
        )
    if identifier is event_time:
        raise InvalidInput("EventTimeFeatureName", f"{event_time.name!r} is the identifier too")
    return Schema(tuple(made), identifier.name, event_time.name, version)


def features(definitions: Iterable[Definition]) -> Sequence[Feature]:
    """Read feature definitions; their names differ in more than case. Raises InvalidInput."""
    made: dict[str, Feature] = {}
    for at, definition in enumerate(definitions):
        name, field = definition.feature_name, f"FeatureDefinitions[{at}].FeatureName"
        if name.lower() in _RESERVED:
            raise InvalidInput(
                field, f"{name!r} is a column of every table", legal="any other name"
            )
        if name.lower() in made:
            raise InvalidInput(field, f"{name!r} is there already", legal="names that differ")
        made[name.lower()] = _feature(definition)
    if len(made) > MOST_FEATURES:
        raise InvalidInput(
            "FeatureDefinitions", f"{len(made)} features", legal=f"at most {MOST_FEATURES}"
        )
    return list(made.values())


def _feature(definition: Definition) -> Feature:
    name, config = definition.feature_name, definition.collection_config
    vector = config.vector_config if config else None
    if definition.collection_type == "Vector":
        if vector is None or definition.feature_type != "Fractional":
            raise InvalidInput(
                name,
                f"a vector of {definition.feature_type}",
                legal="Fractional, with CollectionConfig.VectorConfig.Dimension",
            )
        return Feature(name, "Fractional", "Vector", vector.dimension)
    if vector is not None:
        raise InvalidInput(name, "has a VectorConfig", legal="CollectionType Vector")
    return Feature(name, definition.feature_type, definition.collection_type)
