"""The built-in XGBoost algorithm: hyperparameters and channels in, ``xgboost-model`` out."""

from __future__ import annotations

import json
import os
import pickle
import sys

from job_files import MODEL, ROOT, JobError, read_json, run
from xgboost_data import data_format, load, xgboost

_NUMBERS = (
    *("alpha", "base_score", "colsample_bylevel", "colsample_bynode", "colsample_bytree", "eta"),
    *("gamma", "huber_slope", "lambda", "max_delta_step", "min_child_weight", "one_drop"),
    *("rate_drop", "scale_pos_weight", "skip_drop", "subsample", "tweedie_variance_power"),
    *("aft_loss_distribution_scale", "sketch_eps"),
)
_COUNTS = (
    *("max_bin", "max_depth", "max_leaves", "nthread", "num_class", "num_parallel_tree", "seed"),
    *("refresh_leaf", "verbosity", "lambda_bias", "max_cat_to_onehot"),
)
_WORDS = (
    *("booster", "grow_policy", "objective", "normalize_type", "process_type", "sample_type"),
    *("sampling_method", "tree_method", "updater", "dsplit", "aft_loss_distribution"),
    *("interaction_constraints", "monotone_constraints", "predictor"),
    *("deterministic_histogram", "single_precision_histogram"),
)
_OURS = (
    *("num_round", "csv_weights", "early_stopping_rounds", "eval_metric"),
    *("save_model_on_termination", "_tuning_objective_metric"),
)
_GONE = {
    "dsplit",
    "sketch_eps",
    "predictor",
    "deterministic_histogram",
    "single_precision_histogram",
}
"""Of older versions; they change no result, or nothing that can still be changed."""
_RENAMED = {"reg:linear": "reg:squarederror"}


def main():
    """Train and save."""
    given = read_json("input/config/hyperparameters.json", {})
    channels = read_json("input/config/inputdataconfig.json", {})
    resources = read_json("input/config/resourceconfig.json", {"hosts": ["algo-1"]})
    settings = parse(given)
    if not leads(resources, channels):
        print("another host trains on the same data; there is nothing to do here")
        return
    sets = [(read(name, channels[name], settings), name) for name in present(channels)]
    booster = train(settings, sets)
    save(booster, pickled="--pickle" in sys.argv)


def parse(given):
    """Check and convert the hyperparameters.

    Returns
    -------
    dict
        ``rounds``, ``stop_after``, ``weighted``, ``keep`` and the booster's own ``parameters``.
    """
    known = {*_NUMBERS, *_COUNTS, *_WORDS, *_OURS}
    unknown = sorted(set(given) - known)
    if unknown:
        raise JobError(
            f"the hyperparameter {unknown[0]!r} is unknown; known are: {', '.join(sorted(known))}"
        )
    if "num_round" not in given:
        raise JobError("the hyperparameter num_round is required")
    parameters = {name: number(name, given[name], float) for name in _NUMBERS if name in given}
    parameters |= {name: number(name, given[name], int) for name in _COUNTS if name in given}
    parameters |= {name: given[name] for name in _WORDS if name in given}
    if "objective" in parameters:
        parameters["objective"] = _RENAMED.get(parameters["objective"], parameters["objective"])
    if metrics := listed(given.get("eval_metric", "")):
        parameters["eval_metric"] = metrics
    parameters.setdefault("nthread", os.cpu_count() or 1)
    for name in sorted(_GONE & set(parameters)):
        print(f"the hyperparameter {name} has no meaning for xgboost {xgboost.__version__}")
        del parameters[name]
    return {
        "rounds": number("num_round", given["num_round"], int, least=1),
        "stop_after": number("early_stopping_rounds", given.get("early_stopping_rounds", "0"), int),
        "weighted": number("csv_weights", given.get("csv_weights", "0"), int) == 1,
        "keep": str(given.get("save_model_on_termination", "")).lower() == "true",
        "parameters": parameters,
    }


def number(name, text, kind, least=None):
    """Convert one value."""
    try:
        value = kind(text)
    except (TypeError, ValueError):
        word = "a whole number" if kind is int else "a number"
        raise JobError(f"the hyperparameter {name} is {text!r}, legal: {word}") from None
    if least is not None and value < least:
        raise JobError(f"the hyperparameter {name} is {text!r}, legal: at least {least}")
    return value


def listed(text):
    """Read a list that is written as JSON or with commas."""
    if text.strip().startswith("["):
        return [str(one) for one in json.loads(text)]
    return [one.strip() for one in text.split(",") if one.strip()]


def leads(resources, channels):
    """Whether this host trains: the first one does, on data that every host has."""
    hosts = resources["hosts"]
    if len(hosts) == 1:
        return True
    sharded = [
        name for name, one in channels.items() if one.get("S3DistributionType") == "ShardedByS3Key"
    ]
    if sharded:
        raise JobError(
            f"the channel {sharded[0]} is sharded over {len(hosts)} hosts; the built-in XGBoost "
            "trains on one host here: use FullyReplicated or one instance"
        )
    return resources.get("current_host") == hosts[0]


def present(channels):
    """Name the channels to read; train is required."""
    if "train" not in channels:
        raise JobError(f"the channel train is required; there are: {', '.join(channels) or 'none'}")
    return [name for name in ("train", "validation") if name in channels]


def read(name, channel, settings):
    """Read a channel's files, leaving out those that start with a dot or an underscore."""
    folder = ROOT / "input" / "data" / name
    files = sorted(
        file for file in folder.rglob("*") if file.is_file() and file.name[0] not in "._"
    )
    if not files:
        raise JobError(f"the channel {name} has no files")
    kind = channel.get("ContentType", "")
    if settings["weighted"] and data_format(kind) == "libsvm":
        raise JobError("csv_weights needs CSV or parquet data")
    return load(files, kind, weighted=settings["weighted"])


class Report(xgboost.callback.TrainingCallback):
    """Prints one line of metrics a round, and keeps the model if it may be stopped."""

    def __init__(self, *, keep):
        super().__init__()
        self.keep = keep

    def after_iteration(self, model, epoch, evals_log):
        """Print the round's metrics, tab by tab."""
        values = [
            f"{channel}-{metric}:{float(history[-1]):.5f}"
            for channel, metrics in evals_log.items()
            for metric, history in metrics.items()
        ]
        print("\t".join([f"[{epoch}]", *values]), flush=True)
        if self.keep:
            save(model, pickled="--pickle" in sys.argv)
        return False


def train(settings, sets):
    """Train with the sets as watch list."""
    callbacks = [Report(keep=settings["keep"])]
    if settings["stop_after"] > 0:
        callbacks.append(
            xgboost.callback.EarlyStopping(rounds=settings["stop_after"], save_best=True)
        )
    try:
        return xgboost.train(
            settings["parameters"],
            sets[0][0],
            settings["rounds"],
            evals=sets,
            callbacks=callbacks,
            verbose_eval=False,
        )
    except (xgboost.core.XGBoostError, ValueError) as error:
        lines = [line for line in str(error).splitlines() if line.strip()]
        raise JobError(f"XGBoost refuses: {lines[0] if lines else error}") from None


def save(booster, *, pickled):
    """Write the model under its one name, whole or not at all."""
    MODEL.mkdir(exist_ok=True)
    data = pickle.dumps(booster) if pickled else bytes(booster.save_raw("ubj"))
    part = MODEL / ".xgboost-model.part"
    part.write_bytes(data)
    part.replace(MODEL / "xgboost-model")


if __name__ == "__main__":
    run(main)
