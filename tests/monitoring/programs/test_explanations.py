"""What attribution's settings may be, and which rows of live requests it is about."""

import gzip
import io
import json
import pickle
import tarfile
import zlib
from pathlib import Path

import numpy as np
import pytest
import xgboost

from clary.analysis import bias_report
from clary.analysis.attribution_check import check
from clary.analysis.captures import Faults
from clary.kernel.codec import build
from clary.kernel.errors import ClaryError, InvalidInput, NotSupported
from clary.monitoring.programs import clarify_config
from clary.monitoring.programs.explanation_monitor import _metrics
from clary.monitoring.programs.explanations import Shap, of_rows
from clary.monitoring.programs.live_rows import Settings, features_of
from clary.monitoring.programs.measurements import put
from clary.monitoring.programs.model_structure import _loaded, _unpack
from clary.monitoring.programs.predictor import scores
from clary.monitoring.programs.settings import read

ROWS = np.array([[1.0, 2.0]], dtype=object)


def config(**methods):
    return clarify_config.read({"methods": methods, "predictor": {"model_name": "m"}})


@pytest.mark.parametrize(
    ("given", "kind", "said"),
    [
        ({"agg_method": "max"}, InvalidInput, "mean_abs, median, mean_sq"),
        ({"num_clusters": 0}, InvalidInput, "1 to 1000"),
        ({"num_samples": "many"}, InvalidInput, "num_samples"),
        ({"text_config": {}}, NotSupported, "text_config is not offered"),
        ({"image_config": {}}, NotSupported, "image_config is not offered"),
    ],
)
def test_settings_that_cannot_be_are_refused(given, kind, said):
    with pytest.raises(kind, match=said):
        build(Shap, given, field="methods.shap")


@pytest.mark.parametrize(
    ("shap", "said"),
    [
        ({"features_to_explain": ["c"]}, "features_to_explain"),
        ({"features_to_explain": ["a"], "baseline": [[1]]}, "rows of 2 values: a, b"),
    ],
)
def test_settings_that_do_not_fit_are_refused(shap, said, tmp_path):
    with pytest.raises(InvalidInput, match=said):
        of_rows(ROWS, ["a", "b"], config(shap=shap), (tmp_path, tmp_path))


def test_curves_need_names_or_attributions(tmp_path):
    with pytest.raises(InvalidInput, match=r"methods\.pdp\.features"):
        of_rows(ROWS, ["a", "b"], config(pdp={}), (tmp_path, tmp_path))
    with pytest.raises(InvalidInput, match="has no row"):
        of_rows(ROWS[:0], ["a", "b"], config(shap={}), (tmp_path, tmp_path))
    without = clarify_config.read({"methods": {"shap": {}}})
    with pytest.raises(InvalidInput, match="which model is to be explained"):
        of_rows(ROWS, ["a", "b"], without, (tmp_path, tmp_path))


@pytest.mark.parametrize(
    ("answer", "settings", "found"),
    [
        ([0.2, 0.8], {}, [0.2, 0.8]),
        ("3", {}, [3.0]),
        (["yes", [0.1, 0.9]], {"probability": 1}, [0.1, 0.9]),
        ({"score": 0.4}, {"probability": "score"}, [0.4]),
    ],
)
def test_scores_are_found(answer, settings, found):
    assert scores(answer, build(clarify_config.Predictor, settings, field="")) == found


def test_answers_without_scores_are_refused():
    with pytest.raises(InvalidInput, match="no numbers to explain"):
        scores("cat", clarify_config.Predictor())


def archive(path: Path, **files: bytes) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name.replace("__", "/").replace("_", "-"))
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def test_the_models_file_alone_is_taken_out(tmp_path):
    there = archive(tmp_path / "a.tgz", **{"..__xgboost_model": b"bad", "xgboost_model": b"good"})
    assert _unpack(there, tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == b"good"
    assert not _unpack(archive(tmp_path / "b.tgz", other=b""), tmp_path / "none")
    (tmp_path / "c.tgz").write_bytes(b"no archive")
    with pytest.raises(ClaryError, match="cannot be read"):
        _unpack(tmp_path / "c.tgz", tmp_path / "none")


def test_trees_are_loaded_from_both_forms(tmp_path):
    made = xgboost.train({"nthread": 1}, xgboost.DMatrix(np.eye(3), [1.0, 2.0, 3.0]), 1)
    made.save_model(tmp_path / "plain.ubj")
    (tmp_path / "pickled").write_bytes(pickle.dumps(made))
    for name in ("plain.ubj", "pickled"):
        assert _loaded(tmp_path / name).num_features() == 3


class Gone:
    """A class that is not there where its pickle is read."""


BOOSTER = xgboost.train({"nthread": 1}, xgboost.DMatrix(np.eye(3), [1.0, 2.0, 3.0]), 2)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "no model of XGBoost and no pickle of one: EOFError"),
        (b"corrupt", "no pickle of one: UnpicklingError"),
        (bytes(BOOSTER.save_raw("ubj"))[:200], "is cut off: a model of 200 bytes"),
        (bytes(BOOSTER.save_raw("json"))[:200], "is cut off: a model of 200 bytes"),
        (b"{}", "no model that XGBoost reads"),
        (bytes(BOOSTER.save_raw("json")).replace(b"learner", b"yearner"), "that XGBoost reads"),
        (pickle.dumps(BOOSTER)[:-20], "no pickle of one"),
        (pickle.dumps(BOOSTER).replace(b"Booster", b"Rooster"), "no pickle of one: AttributeError"),
        (pickle.dumps(Gone()).replace(b"Gone", b"Game"), "no pickle of one: AttributeError"),
        (b"cno_such_module\nGone\n.", "no pickle of one: ModuleNotFoundError"),
        (pickle.dumps([1]), "holds a list, no Booster"),
    ],
)
def test_a_model_that_cannot_be_loaded_is_one_clear_sentence(data, said, tmp_path):
    (tmp_path / "model").write_bytes(data)
    with pytest.raises(ClaryError, match=said) as caught:
        _loaded(tmp_path / "model")
    assert "\n" not in caught.value.message


def test_a_damaged_archive_is_one_clear_sentence(tmp_path):
    plain = gzip.decompress(archive(tmp_path / "a.tgz", xgboost_model=b"x" * 99_999).read_bytes())
    packer = zlib.compressobj(wbits=31)
    half = packer.compress(plain[:50_000]) + packer.flush(zlib.Z_FULL_FLUSH)
    for data in (half, half + b"\xff" * 99):
        (tmp_path / "b.tgz").write_bytes(data)
        with pytest.raises(ClaryError, match="archive cannot be read"):
            _unpack(tmp_path / "b.tgz", tmp_path / "out")


def captured(folder, *bodies):
    folder.mkdir(parents=True)
    lines = []
    for number, body in enumerate(bodies):
        side = {"observedContentType": "text/csv", "mode": "INPUT", "data": body, "encoding": "CSV"}
        event = {"eventId": str(number), "inferenceTime": "2026-01-01T00:00:00Z"}
        document = {"captureData": {"endpointInput": side}, "eventMetadata": event}
        lines.append(json.dumps({**document, "eventVersion": "0"}))
    (folder / "lines.jsonl").write_text("\n".join([*lines, "{torn"]))


def test_live_rows_are_those_that_can_be_read(tmp_path):
    captured(tmp_path / "processing/input/endpoint", "1,x", "2,y\n,z", "1,2,3")
    places = {"dataset_source": "/opt/ml/processing/input/endpoint", "output_path": "/opt/ml/out"}
    given = read(places, Settings)
    asked = clarify_config.read({"headers": ["label", "a", "b"], "label": "label"})
    faults = Faults()
    rows, names = features_of(given, asked, tmp_path, faults)
    assert names == ["a", "b"]
    assert rows.tolist() == [[1.0, "x"], [2.0, "y"], [None, "z"]]
    assert faults.count == 2


def put_lines(file, *documents):
    file.parent.mkdir(parents=True)
    file.write_text("\n".join(json.dumps(one) for one in documents))


def features(ml, headers=None, label=None, **more):
    places = {"dataset_source": "/opt/ml/processing/input/endpoint", "output_path": "/opt/ml/out"}
    asked = clarify_config.read({"headers": headers, "label": label})
    faults = Faults()
    rows, names = features_of(read({**places, **more}, Settings), asked, ml, faults)
    return rows.tolist(), names, faults.named


def test_a_label_may_be_named_by_its_place(tmp_path):
    captured(tmp_path / "processing/input/endpoint", "1,2")
    rows, names, _ = features(tmp_path, ["a", "y", "b"], 1)
    assert (rows, names) == ([[1.0, 2.0]], ["a", "b"])


def test_rows_that_are_objects_may_lack_values_but_not_all(tmp_path):
    rows = [{"a": 1, "b": "x"}, {"b": "y"}, {"c": 3}]
    sides = [{"data": json.dumps([one]), "encoding": "JSON"} for one in rows]
    documents = [
        {"captureData": {"endpointInput": side}, "eventMetadata": {"eventId": "1"}}
        for side in sides
    ]
    put_lines(tmp_path / "processing/input/endpoint/x.jsonl", *documents)
    found, names, faults = features(tmp_path)
    assert (found, names) == ([[1, "x"], [None, "y"]], ["a", "b"])
    assert "line 3: captureData: has none of the features; legal: a, b" in faults[0]


def test_rows_of_batches_have_their_features_beside_their_answers(tmp_path):
    ids = {"SageMakerInferenceId": "1", "SageMakerInferenceTime": "2026-01-01T00:00:00Z"}
    file = tmp_path / "processing/input/endpoint/rows.out"
    put_lines(file, {**ids, "row": [1, 2], "score": 0.5})
    more = {"dataset_format": '{"json":{"lines":true}}', "features_attribute": "row"}
    assert features(tmp_path, ["a", "b"], **more)[:2] == ([[1, 2]], ["a", "b"])


def test_requests_that_were_not_captured_have_no_features(tmp_path):
    side = {"data": "1,2", "encoding": "CSV"}
    document = {"captureData": {"endpointOutput": side}, "eventMetadata": {"eventId": "1"}}
    put_lines(tmp_path / "processing/input/endpoint/x.jsonl", document)
    [], [], [fault] = features(tmp_path)
    assert "endpointInput: is missing; requests have to be captured" in fault


@pytest.mark.parametrize("name", ["start_time", "end_time"])
def test_a_window_that_is_no_time_is_refused(tmp_path, name):
    captured(tmp_path / "processing/input/endpoint", "1,2")
    with pytest.raises(InvalidInput, match=f"{name}: 'noon' is no time; legal: 2026-01-31T09:00"):
        features(tmp_path, **{name: "noon"})


def analysis(sizes, **notes):
    labels = {label: {"global_shap_values": values} for label, values in sizes.items()}
    attribution = {"method": "kernel", "scale": "output", "features": ["a", "b"], **notes}
    return bias_report.Analysis(
        explanations={"kernel_shap": labels}, clary={"attribution": attribution}
    )


def test_metrics_are_lines_of_features_and_labels(tmp_path):
    file = tmp_path / "a" / "metrics.jsonl"
    put(_metrics(analysis({"x": {"a": 1.0}})), file, "2026-01-01T00:00:00Z")
    told = {"ExplainabilityMethod": "KernelShap", "ValueType": "GlobalShapValues", "Label": "x"}
    assert json.loads(file.read_text()) == {
        "MetricName": "feature_attribution_a",
        "Timestamp": "2026-01-01T00:00:00Z",
        "Value": 1.0,
        "Dimensions": [{"Name": name, "Value": value} for name, value in told.items()],
    }


def test_labels_are_held_against_their_own_baseline():
    before = analysis({"x": {"a": 1.0, "b": 0.1}, "y": {"a": 1.0, "b": 0.1}}, samples={})
    after = analysis({"x": {"a": 1.0, "b": 0.1}, "y": {"a": 0.0, "b": 0.1}}, samples={})
    (found,) = check(before, after)
    assert found.clary["label"] == "y"
    assert check(bias_report.Analysis(), after) == ()
    with pytest.raises(InvalidInput, match="is of the labels x"):
        check(analysis({"x": {"a": 1.0}}, samples={}), after)


def test_rows_are_compared_where_both_sides_kept_them_in_one_unit():
    draw = np.random.default_rng(0)
    sides = [{"x": np.abs(draw.normal(at, 0.1, (50, 2))).tolist()} for at in ([1, 0.8], [1, 0.3])]
    same = {"x": {"a": 1.0, "b": 0.8}}
    before, after = (analysis(same, samples=one) for one in sides)
    (found,) = check(before, after)
    assert found.clary["p_value"] == 0.001
    assert check(before, analysis(same, samples=sides[1], scale="margin")) == ()
