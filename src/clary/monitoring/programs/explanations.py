"""Attribution and partial dependence as Clarify jobs are asked for them: ``shap`` and ``pdp``."""

from __future__ import annotations

import csv
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from clary.analysis import attribution_drift
from clary.analysis.attribution import WAYS, Attributions, logit, of_predictions, of_trees, order
from clary.analysis.backgrounds import as_numbers, numbers, representatives
from clary.analysis.partial_dependence import RESOLUTION, partial_dependence
from clary.kernel.codec import build
from clary.kernel.errors import InvalidInput, NotSupported
from clary.monitoring.programs.clarify_config import Name
from clary.monitoring.programs.clarify_dataset import column, load_csv
from clary.monitoring.programs.clarify_joins import rows as read_rows
from clary.monitoring.programs.model_structure import booster
from clary.monitoring.programs.predictor import Endpoint, download, endpoint, scores

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from clary.analysis.shapley import Floats, Rows
    from clary.monitoring.programs.clarify_config import AnalysisConfig, Predictor
    from clary.monitoring.programs.clarify_dataset import Dataset

FOLDER = "explanations_shap"


class Shap(msgspec.Struct, frozen=True):
    """The settings ``methods.shap``."""

    baseline: str | list[list[Any]] | dict[str, Any] | None = None
    num_samples: int | None = None
    agg_method: str = "mean_abs"
    use_logit: bool = False
    save_local_shap_values: bool = True
    seed: int | None = None
    num_clusters: int | None = None
    text_config: dict[str, Any] | None = None
    image_config: dict[str, Any] | None = None
    features_to_explain: list[Name] | None = None

    def __post_init__(self) -> None:
        """Refuse what there is not."""
        for member, value in (
            ("text_config", self.text_config),
            ("image_config", self.image_config),
        ):
            if value is not None:
                raise NotSupported(f"methods.shap.{member} is not offered: rows of columns are")
        if self.agg_method not in WAYS:
            field, legal = "methods.shap.agg_method", ", ".join(WAYS)
            raise InvalidInput(field, f"{self.agg_method!r} is unknown", legal=legal)
        if self.num_clusters is not None and not 1 <= self.num_clusters <= 1000:
            raise InvalidInput(
                "methods.shap.num_clusters", str(self.num_clusters), legal="1 to 1000"
            )


class Pdp(msgspec.Struct, frozen=True):
    """The settings ``methods.pdp``."""

    features: list[Name] | None = None
    grid_resolution: int = RESOLUTION
    top_k_features: int = 10


@dataclass(slots=True)
class Explained:
    """What came out: two members of analysis.json."""

    explanations: dict[str, Any]
    clary: dict[str, Any]


class Model:
    """A model that is asked for scores, by an endpoint that is made when it is first asked."""

    def __init__(self, settings: Predictor, features: Sequence[str], stack: ExitStack) -> None:
        self.settings = settings
        self._features, self._stack = features, stack

    @cached_property
    def _endpoint(self) -> Endpoint:
        return self._stack.enter_context(endpoint(self.settings, self._features))

    def predict(self, rows: Rows) -> Floats:
        """Return the scores of rows, shape (rows, outputs).

        Raises
        ------
        InvalidInput
            An answer has no numbers where the settings say, or they differ in length.
        """
        found = [scores(one, self.settings) for one in self._endpoint.answers(rows.tolist())]
        if len({len(one) for one in found}) > 1:
            raise InvalidInput("predictor", "answers to rows differ in their number of scores")
        return np.array(found, np.float64).reshape(len(found), -1)

    def labels(self, count: int) -> list[str]:
        """Name the outputs, as the settings do or by number."""
        given = list(self.settings.labels)
        return given if len(given) == count else [f"label{place}" for place in range(count)]


def explain(dataset: Dataset, config: AnalysisConfig, output: Path) -> Explained:
    """Do what ``methods.shap`` and ``methods.pdp`` ask for a dataset.

    Raises
    ------
    InvalidInput
        The settings do not fit the dataset or the model.
    ClaryError
        The model does not answer.
    """
    excluded = [dataset.column(one, field="excluded_columns") for one in config.excluded_columns]
    features = dataset.features(excluded)
    rows = np.array(list(read_rows(dataset, features)), dtype=object)
    return of_rows(rows.reshape(-1, len(features)), features, config, (dataset.scratch, output))


def of_rows(
    rows: Rows, features: Sequence[str], config: AnalysisConfig, folders: tuple[Path, Path]
) -> Explained:
    """Explain a model's predictions for rows; ``folders`` are for scratch and for results."""
    scratch, output = folders
    if config.predictor is None:
        raise InvalidInput("predictor", "is missing: which model is to be explained?")
    if not len(rows):
        raise InvalidInput("dataset", "has no row")
    found = Explained({}, {})
    with ExitStack() as stack:
        model = Model(config.predictor, features, stack)
        summary: dict[str, float] = {}
        if config.methods.shap is not None:
            shap = build(Shap, config.methods.shap, field="methods.shap")
            made = _attributions(shap, model, (rows, features), scratch)
            labels = model.labels(len(made.expected))
            found.explanations["kernel_shap"] = made.document(labels, shap.agg_method)
            found.clary["attribution"] = _notes(made, labels)
            summary = dict(zip(made.features, made.summary().mean(0), strict=True))
            if shap.save_local_shap_values:
                folder = output / FOLDER
                folder.mkdir(parents=True, exist_ok=True)
                made.write(folder / "out.csv", labels)
        if config.methods.pdp is not None:
            pdp = build(Pdp, config.methods.pdp, field="methods.pdp")
            found.explanations["pdp"] = _dependence(pdp, model, (rows, features), summary)
    return found


def _notes(made: Attributions, labels: Sequence[str]) -> dict[str, Any]:
    samples = {
        label: attribution_drift.sample(made.values[:, place]) for place, label in enumerate(labels)
    }
    return {
        "method": made.method,
        "scale": made.scale,
        "rows": len(made.values),
        "features": list(made.features),
        "samples": samples,
    }


def _attributions(
    shap: Shap, model: Model, data: tuple[Rows, Sequence[str]], scratch: Path
) -> Attributions:
    rows, features = data
    chosen = shap.features_to_explain
    players = [
        features.index(column(features, one, field="methods.shap.features_to_explain"))
        for one in chosen or ()
    ] or None
    if players is None and all(numbers(rows)):
        trees = booster(model.settings, scratch)
        if trees is not None:
            return of_trees(trees, as_numbers(rows), features)

    def predict(asked: Rows) -> Floats:
        found = model.predict(asked)
        return logit(found) if shap.use_logit else found

    how = {"samples": shap.num_samples, "seed": shap.seed or 0, "players": players}
    background = _background(shap, rows, features, scratch)
    made = of_predictions(predict, rows, background, features, **how)
    scale = "logit" if shap.use_logit else "output"
    return Attributions(made.features, made.values, made.expected, made.method, scale)


def _background(shap: Shap, rows: Rows, features: Sequence[str], scratch: Path) -> Rows:
    given = shap.baseline
    if given is None:
        return representatives(rows, shap.num_clusters or 1, seed=shap.seed or 0)
    if isinstance(given, str):
        given = _downloaded(given, features, scratch)
    elif isinstance(given, dict):
        raise NotSupported("methods.shap.baseline of time series is not offered")
    widths = {len(one) for one in given}
    if widths != {len(features)}:
        legal = f"rows of {len(features)} values: {', '.join(features)}"
        raise InvalidInput("methods.shap.baseline", f"has rows of {sorted(widths)}", legal=legal)
    return np.array(given, dtype=object).reshape(-1, len(features))


def _downloaded(uri: str, features: Sequence[str], scratch: Path) -> list[list[Any]]:
    files = download(uri, scratch / "baseline")
    with files[0].open(encoding="utf-8", errors="replace", newline="") as file:
        first = next(csv.reader(file), [])
    if len(first) != len(features):
        legal = f"the features alone: {', '.join(features)}"
        raise InvalidInput("methods.shap.baseline", f"has {len(first)} columns", legal=legal)
    import duckdb  # noqa: PLC0415 - for a baseline in a file alone

    with duckdb.connect() as connection:
        load_csv(connection, "baseline", [str(one) for one in files], list(features), ())
        return [list(row) for row in connection.execute("SELECT * FROM baseline").fetchall()]


def _dependence(
    pdp: Pdp, model: Model, data: tuple[Rows, Sequence[str]], summary: dict[str, float]
) -> list[dict[str, Any]]:
    rows, features = data
    if pdp.features is not None:
        named = [column(features, one, field="methods.pdp.features") for one in pdp.features]
    elif summary:
        named = order(summary)[: max(0, pdp.top_k_features)]
    else:
        raise InvalidInput("methods.pdp.features", "are missing", legal="names, or methods.shap")
    curves = [
        partial_dependence(
            model.predict, rows, features.index(one), one, resolution=pdp.grid_resolution
        )
        for one in named
    ]
    return [one.document(model.labels(len(one.predictions))) for one in curves]
