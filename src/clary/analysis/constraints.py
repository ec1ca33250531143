"""constraints.json: what the data has to fulfil, in every dialect that is about.

Written as the present Model Monitor writes it. Read as well: ``monitoringConfigOverrides``,
``enable_comparisons`` and ``min_domain_mass`` of its earlier versions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import msgspec

from clary.analysis.documents import pretty
from clary.kernel.codec import build, from_json
from clary.kernel.errors import InvalidInput

Switch = Literal["Enabled", "Disabled"]
Type = Literal["Integral", "Fractional", "String", "Unknown"]
Metric = Literal[
    "kolmogorov_smirnov",
    "wasserstein",
    "normalized_wasserstein",
    "population_stability_index",
    "jensen_shannon",
    "l_infinity",
    "chi_squared",
]
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Threshold = Annotated[float, msgspec.Meta(ge=0)]


class Distributions(msgspec.Struct, frozen=True, kw_only=True):
    """How distributions are compared with the baseline's; what is None is inherited."""

    perform_comparison: Switch | None = None
    comparison_threshold: Threshold | None = None
    comparison_method: Literal["Robust", "Simple"] | None = None
    categorical_comparison_threshold: Threshold | None = None
    categorical_drift_method: Literal["LInfinity", "ChiSquared"] | None = None


class Configuration(msgspec.Struct, frozen=True, kw_only=True):
    """How strictly constraints are checked: for all features, or overriding that for one."""

    evaluate_constraints: Switch | None = None
    emit_metrics: Switch | None = None
    datatype_check_threshold: Share | None = None
    domain_content_threshold: Share | None = None
    distribution_constraints: Distributions | None = None


class Numbers(msgspec.Struct, frozen=True, kw_only=True):
    """What a numeric feature has to fulfil."""

    is_non_negative: bool | None = None
    monitoring_config_overrides: Configuration | None = None


class Strings(msgspec.Struct, frozen=True, kw_only=True):
    """What a text feature has to fulfil: be one of ``domains``."""

    domains: tuple[str, ...] | None = None
    monitoring_config_overrides: Configuration | None = None


class Feature(msgspec.Struct, frozen=True, kw_only=True):
    """The constraints of one feature; ``completeness`` is the least share of present values."""

    name: str
    inferred_type: Type = "Unknown"
    completeness: Share | None = None
    num_constraints: Numbers | None = None
    string_constraints: Strings | None = None
    monitoring_config_overrides: Configuration | None = None


class Drift(msgspec.Struct, frozen=True, kw_only=True):
    """What clary's own tests of drift report as violations; other readers leave it alone.

    Parameters
    ----------
    significance_level
        The share of checks without drift that may report any, over all features together.
    thresholds
        The value of a metric above which a significant drift is a violation.
    """

    significance_level: Annotated[float, msgspec.Meta(gt=0, lt=1)] = 0.01
    thresholds: dict[Metric, Threshold] = {}


class Extra(msgspec.Struct, frozen=True, kw_only=True):
    """The ``clary`` member of the document."""

    drift: Drift = Drift()


class Constraints(msgspec.Struct, frozen=True, kw_only=True):
    """A whole constraints.json."""

    version: float = 0.0
    features: tuple[Feature, ...] = ()
    monitoring_config: Configuration = Configuration()
    clary: Extra | None = None

    def settings(self, feature: Feature | None = None) -> Settings:
        """Say how strictly a feature is checked: its own overrides, the document's, defaults."""
        layers = [self.monitoring_config]
        if feature is not None:
            inner = (feature.num_constraints, feature.string_constraints, feature)
            layers += [
                one.monitoring_config_overrides
                for one in inner
                if one is not None and one.monitoring_config_overrides is not None
            ]
        found: dict[str, Any] = {}
        for layer in layers:
            plain = msgspec.structs.asdict(layer)
            inside = plain.pop("distribution_constraints")
            plain |= msgspec.structs.asdict(inside) if inside is not None else {}
            found |= {name: value for name, value in plain.items() if value is not None}
        numeric = found.get("comparison_threshold", 0.1)
        return Settings(
            evaluates=found.get("evaluate_constraints") != "Disabled",
            emits_metrics=found.get("emit_metrics") != "Disabled",
            datatype=found.get("datatype_check_threshold", 1.0),
            domain=found.get("domain_content_threshold", 1.0),
            compares=found.get("perform_comparison") != "Disabled",
            numeric=numeric,
            method=found.get("comparison_method", "Robust"),
            categorical=found.get("categorical_comparison_threshold", numeric),
            categorical_method=found.get("categorical_drift_method", "LInfinity"),
        )


@dataclass(frozen=True, slots=True)
class Settings:
    """How strictly one feature is checked, with nothing left open.

    Parameters
    ----------
    evaluates, emits_metrics, compares
        Whether it is checked, measured, and compared with the baseline's distribution.
    datatype, domain
        The least share of values that have the expected type, and that are in the domain.
    numeric, categorical
        The distance to the baseline that is just allowed; of ``ChiSquared``, the p-value.
    method, categorical_method
        How the distances are measured.
    """

    evaluates: bool
    emits_metrics: bool
    datatype: float
    domain: float
    compares: bool
    numeric: float
    method: Literal["Robust", "Simple"]
    categorical: float
    categorical_method: Literal["LInfinity", "ChiSquared"]


def read(data: bytes | str, *, source: str = "constraints.json") -> Constraints:
    """Read a constraints.json of any dialect.

    Raises
    ------
    InvalidInput
        It is none, but maybe another document of a monitor; names ``source`` and the place in
        it. Or it names a feature twice.
    """
    document = from_json(data, field=source)
    if isinstance(document, dict) and ("features" not in document or "dataset" in document):
        held = ", ".join(map(repr, list(document)[:8])) or "nothing"
        raise InvalidInput(source, f"holds {held}", legal="features and monitoring_config")
    found = build(Constraints, _current(document), field=source)
    names = [one.name for one in found.features]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InvalidInput(f"{source}.features", f"{twice[0]!r} is there more than once")
    return found


def write(constraints: Constraints) -> bytes:
    """Write the present dialect."""
    return pretty(constraints)


_RENAMED = {"monitoringConfigOverrides": "monitoring_config_overrides"}


def _current(document: Any) -> Any:
    """Rewrite what earlier dialects call otherwise; leaves everything else as it is."""
    if isinstance(document, list):
        return [_current(one) for one in document]
    if not isinstance(document, dict):
        return document
    new = {_RENAMED.get(name, name): _current(value) for name, value in document.items()}
    inside = new.get("distribution_constraints")
    if isinstance(inside, dict):
        if "enable_comparisons" in inside:
            compares = inside.pop("enable_comparisons")
            on = compares in (True, "Enabled", "true")
            inside.setdefault("perform_comparison", "Enabled" if on else "Disabled")
        if "min_domain_mass" in inside:
            new.setdefault("domain_content_threshold", inside.pop("min_domain_mass"))
    return new
