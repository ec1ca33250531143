"""What transforms are called as methods of ``clary.Flow``."""

from __future__ import annotations

import keyword
from collections import Counter
from functools import cache

from clary.flows import transforms

OWN = frozenset(
    {
        *("analyse", "called", "columns", "container", "diagram", "differences", "fit", "fit_step"),
        *("inference", "ingest"),
        *("load", "name", "node", "operators", "origins", "parameter", "pipeline", "preview"),
        *("read", "record", "records", "report", "run", "save", "source", "step", "then"),
        *("to_arrow", "to_pandas", "to_polars", "to_python", "to_sql", "with_learned", "write"),
    }
)
"""Methods that a flow has of its own."""
_CALLED = {
    "columns.concatenate": "concatenate_columns",
    "columns.drop": "drop",
    "combine.concatenate": "concatenate",
    "dates.featurize": "date_parts",
    "dates.parse": "parse_dates",
    "encode.target": "target_encode",
    "missing.drop": "drop_missing",
    "missing.drop_columns": "drop_missing_columns",
    "nested.flatten": "flatten",
    "numeric.max_abs": "max_abs_scale",
    "numeric.min_max": "min_max_scale",
    "numeric.robust": "robust_scale",
    "numeric.standard": "standard_scale",
    "outliers.min_max": "limit",
    "outliers.quantile": "limit_quantiles",
    "outliers.rare": "replace_rare",
    "outliers.robust": "limit_robust",
    "outliers.standard_deviation": "limit_deviations",
    "parse.infer": "infer_types",
    "sampling.limit": "head",
    "sampling.split": "split",
    "search.find": "find_text",
    "search.split": "split_text",
    "series.extract_features": "series_features",
    "series.fill": "fill_series",
    "series.range": "time_range",
    "text.statistics": "text_statistics",
    "validate.string": "is_string",
    "vectors.flatten": "flatten_vector",
}
"""Methods whose name is not the verb alone: other groups have it, or it says too little."""


@cache
def methods() -> dict[str, str]:
    """Name the method of each operator: its verb, with its group where that is taken."""
    usual = {one: _CALLED.get(one, one.partition(".")[2]) for one in transforms.catalogue()}
    counts = Counter(usual.values())
    return {
        one: name
        if counts[name] == 1 and name not in OWN and not keyword.iskeyword(name)
        else one.replace(".", "_")
        for one, name in usual.items()
    }
