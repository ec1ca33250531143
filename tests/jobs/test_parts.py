"""The small pure parts: images, reasons, metrics, archives, safe walks, JSONPath."""

from __future__ import annotations

import io
import json
import sys
import tarfile
import time

import pytest
import xgboost  # noqa: F401 - whole, before a container's program imports it without scikit-learn
from hypothesis import given
from hypothesis import strategies as st

from clary.jobs.archives import packed
from clary.jobs.contract import below_root, split_uri
from clary.jobs.failures import LONGEST, reason
from clary.jobs.images import ran, runtime
from clary.jobs.installed import holds
from clary.jobs.launch import CONTAINERS
from clary.jobs.metrics import last_values
from clary.jobs.model import Ending
from clary.jobs.ports import LogLine
from clary.jobs.trees import Tree
from clary.kernel.clock import now
from clary.kernel.errors import ClaryError, InvalidInput

sys.path.append(str(CONTAINERS))
import batch_transform
import job_files
import json_paths
import script_mode
import xgboost_data
import xgboost_train

HOST = "683313688378.dkr.ecr.us-east-1.amazonaws.com/"


@pytest.mark.parametrize(
    ("image", "framework", "asked", "pickles"),
    [
        (HOST + "sagemaker-scikit-learn:0.23-1-cpu-py3", "sklearn", "0.23-1-cpu-py3", False),
        (HOST + "sagemaker-scikit-learn:1.0-1-cpu-py3", "sklearn", "1.0-1-cpu-py3", False),
        (HOST + "sagemaker-scikit-learn:1.2-1-cpu-py3", "sklearn", "1.2-1-cpu-py3", False),
        (HOST + "sagemaker-xgboost:1.0-1-cpu-py3", "xgboost", "1.0-1-cpu-py3", True),
        (HOST + "sagemaker-xgboost:1.2-1", "xgboost", "1.2-1", True),
        (HOST + "sagemaker-xgboost:1.2-2-cpu-py3", "xgboost", "1.2-2-cpu-py3", True),
        (HOST + "sagemaker-xgboost:1.3-1", "xgboost", "1.3-1", False),
        (HOST + "sagemaker-xgboost:1.7-1", "xgboost", "1.7-1", False),
        (HOST + "sagemaker-xgboost:3.0-5", "xgboost", "3.0-5", False),
        ("811284229777.dkr.ecr.eu-west-1.amazonaws.com/xgboost:1", "xgboost", "1", True),
        ("xgboost", "xgboost", "", True),
        ("sagemaker-xgboost", "xgboost", "", False),
        ("localhost:5000/team/sagemaker-xgboost:1.5-1", "xgboost", "1.5-1", False),
        ("sagemaker-xgboost:1.5-1@sha256:0123", "xgboost", "1.5-1", False),
        ("python:3.11", "python", "3.11", False),
    ],
)
def test_images(image, framework, asked, pickles):
    found = runtime(image, field="Image")
    assert (found.framework, found.pickles_model) == (framework, pickles)
    assert found.asked.partition(" ")[2] == asked
    assert ran(found)["image"] == found.asked


@pytest.mark.parametrize("image", ["", "tensorflow:2", HOST + "pytorch-training:2.0", "a/b/"])
def test_unknown_images_name_the_known(image):
    with pytest.raises(InvalidInput, match=r"legal: .*sagemaker-xgboost"):
        runtime(image, field="Image")


@pytest.mark.parametrize("path", ["/etc", "/opt/ml", "/opt/ml/..", "opt/ml/a", "", "/opt/mlx/a"])
def test_paths_outside_are_refused(path):
    with pytest.raises(InvalidInput, match="below /opt/ml/"):
        below_root(path, field="LocalPath")


@given(st.text())
def test_a_path_below_root_never_leaves_it(text):
    try:
        inside = below_root(f"/opt/ml/{text}", field="x")
    except InvalidInput:
        return
    assert inside
    assert ".." not in inside.split("/")
    assert not inside.startswith("/")


@pytest.mark.parametrize("uri", ["", "s3:/b/k", "https://b/k", "s3://", "s3:///k", "b/k"])
def test_uris_that_are_none(uri):
    with pytest.raises(InvalidInput):
        split_uri(uri, field="S3Uri")


def test_reasons():
    trace = ["x", "Traceback (most recent call last):", "  File", "ValueError: a", "b"]
    assert reason(Ending(1), "", trace, memory_bytes=None) == (
        "AlgorithmError: ValueError: a\nb, exit code: 1"
    )
    assert reason(Ending(2), "", ["one", "two", "", "three", "four"], memory_bytes=None) == (
        "AlgorithmError: two\nthree\nfour, exit code: 2"
    )
    assert reason(Ending(1), "ClientError: no", [], memory_bytes=None) == (
        "ClientError: no, exit code: 1"
    )
    assert "OutOfMemory" in reason(Ending(137), "", [], memory_bytes=None)
    assert "limit of 5 bytes" in reason(Ending(137, "memory"), "", [], memory_bytes=5)
    long = reason(Ending(1), "x" * 5000, [], memory_bytes=None)
    assert len(long) == LONGEST
    assert long.endswith(", exit code: 1")
    assert "said nothing" in reason(Ending(9), "", [], memory_bytes=None)


def lines(*texts):
    return [LogLine(now(), text, 0) for text in texts]


def test_metrics_take_the_last_value_with_either_tab():
    log = lines(
        "[0]\ttrain-rmse:3.5\tvalidation-rmse:4.5",
        "[1]#011train-rmse:2.5#011validation-rmse:3.25",
        "[2]\ttrain-rmse:nan",
        "loss=abc; loss=7e-1",
    )
    found = last_values(
        log,
        [
            ("a", r".*\[[0-9]+\].*#011train-rmse:(\S+)"),
            ("b", r".*\[[0-9]+\].*#011validation-rmse:(\S+)"),
            ("c", r"\[[0-9]+\]\ttrain-rmse:(\S+)"),
            ("d", r"loss=([0-9e.-]+)"),
            ("broken", "("),
            ("none", "nothing"),
        ],
    )
    values = {one.name: one.value for one in found}
    assert values == {"a": 2.5, "b": 3.25, "c": 2.5, "d": 0.7}


def test_a_pattern_that_explodes_is_given_up():
    before = time.monotonic()
    evil = r"^(([a-z])+.)+[A-Z]([a-z])+$"
    found = last_values(lines("a" * 3000, "x=1"), [("evil", evil), ("x", "x=(.)")])
    assert [one.name for one in found] == ["x"]
    assert time.monotonic() - before < 30


NAMES = st.lists(st.text("ab", min_size=1, max_size=2), min_size=1, max_size=2).map("/".join)


@given(files=st.dictionaries(NAMES, st.binary(max_size=30), max_size=5), seed=st.randoms())
def test_archives_depend_on_content_alone(tmp_path_factory, files, seed):
    whole = {path: data for path, data in files.items() if path.partition("/")[0] + "/" not in path}
    whole = whole or {path.replace("/", "-"): data for path, data in files.items()}
    archives = []
    for _ in range(2):
        ml = tmp_path_factory.mktemp("ml")
        names = list(whole)
        seed.shuffle(names)
        for name in names:
            path = ml / "model" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(whole[name])
        tree = Tree(ml, "model")
        found = [(tree, file) for file in tree.files()]
        archives.append(b"".join(packed(found, ml, lambda: None)))
        assert not list(ml.glob("*.tar*"))
    assert archives[0] == archives[1]
    with tarfile.open(fileobj=io.BytesIO(archives[0])) as opened:
        names = opened.getnames()
        assert names == sorted(whole)
        assert {name: opened.extractfile(name).read() for name in names} == whole


def test_trees_see_only_their_own_regular_files(tmp_path):
    (tmp_path / "secret").write_text("s")
    ml = tmp_path / "ml"
    (ml / "out" / "deep").mkdir(parents=True)
    (ml / "out" / "deep" / "a").write_text("a")
    tree = Tree(ml, "out")
    assert [file.path for file in tree.files()] == ["deep/a"]
    assert Tree(ml, "nothing").files() == []
    assert tree.text("deep/a", most_bytes=10) == "a"
    for path in ("../../secret", "/etc/passwd", "deep", "deep/none", "none/none", "deep/a/b"):
        assert tree.text(path, most_bytes=10) is None
    listed = tree.files()[0]
    (ml / "out" / "deep" / "a").unlink()
    (ml / "out" / "deep" / "a").symlink_to(tmp_path / "secret")
    with pytest.raises(InvalidInput, match="/opt/ml/out/deep/a: cannot be read: is a link"):
        b"".join(tree.chunks(listed))
    (ml / "out" / "deep").rename(ml / "elsewhere")
    (ml / "out" / "deep").symlink_to(ml / "elsewhere")
    with pytest.raises(InvalidInput):
        b"".join(tree.chunks(listed))
    with pytest.raises(ClaryError):
        tree.files()


DOCUMENT = {"id": 7, "features": [1, 2, 3, 4], "deep": {"a b": [{"x": 1}]}, "Out": {"score": 0.5}}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("$", DOCUMENT),
        ("$.id", 7),
        ("$.features[1:]", [2, 3, 4]),
        ("$.features[-2:]", [3, 4]),
        ("$.features[:2]", [1, 2]),
        ("$.features[0,-1]", [1, 4]),
        ("$.features[-1]", 4),
        ("$['deep']['a b'][0].x", 1),
        ("$['id','Out']", {"id": 7, "Out": {"score": 0.5}}),
        ('$["Out"].score', 0.5),
    ],
)
def test_json_paths(path, expected):
    assert json_paths.compiled(path)(DOCUMENT) == expected


@pytest.mark.parametrize(
    "path",
    ["", "id", "$.", "$[", "$.id[0]", "$.none", "$.features[9]", "$['id'", "$..x", "$[?(1)]"],
)
def test_bad_json_paths_are_refused(path):
    with pytest.raises(job_files.JobError, match=r"JSONPath|names nothing"):
        json_paths.compiled(path)(DOCUMENT)


ITEMS = st.lists(st.integers(), max_size=6)
BOUND = st.none() | st.integers(-8, 8)


@given(ITEMS, BOUND, BOUND)
def test_slices_are_pythons(items, start, end):
    path = f"$[{'' if start is None else start}:{'' if end is None else end}]"
    assert json_paths.compiled(path)(items) == items[start:end]


def batch(handler, **settings):
    base = {
        "ContentType": "text/csv",
        "Accept": "text/csv",
        "SplitType": "Line",
        "BatchStrategy": "MultiRecord",
        "AssembleWith": "None",
        "MaxPayloadInMB": 6,
        "InputFilter": "$",
        "OutputFilter": "$",
        "JoinSource": "None",
        "GenerateInferenceId": False,
    }
    return batch_transform.Batch({**base, **settings}, handler)


def echo(payload, content_type, accept):
    assert accept
    return payload, content_type


@given(st.lists(st.text("ab,1", min_size=1), max_size=20), st.sampled_from(["Multi", "Single"]))
def test_echoed_records_come_back_once_each(records, strategy):
    one = batch(echo, BatchStrategy=f"{strategy}Record")
    result = io.BytesIO()
    count = one.transform(io.BytesIO("\r\n".join(records).encode()), result, "x")
    assert result.getvalue().decode() == "".join(f"{record}\n" for record in records)
    assert count == (len(records) if strategy == "Single" else min(len(records), 1))


def test_payloads_are_bounded():
    big = b"\n".join([b"x" * 400_000] * 7)
    one = batch(echo, MaxPayloadInMB=1)
    sizes = [sum(map(len, records)) for records in one.payloads(io.BytesIO(big), "x")]
    assert sizes == [800_000, 800_000, 800_000, 400_000]
    with pytest.raises(job_files.JobError, match="x has a record of more than MaxPayloadInMB"):
        list(one.payloads(io.BytesIO(b"y" * (1 << 20)), "x"))
    whole = batch(echo, SplitType="None", MaxPayloadInMB=1)
    with pytest.raises(job_files.JobError):
        list(whole.payloads(io.BytesIO(b"y" * ((1 << 20) + 1)), "x"))


def test_json_lines_join():
    def score(payload, _content_type, _accept):
        records = [json.loads(line) for line in payload.decode().splitlines()]
        assert records == [[1, 2], [3, 4]]
        return b'{"predictions": [{"score": 3}, {"score": 7}]}', "application/json"

    one = batch(
        score,
        ContentType="application/jsonlines",
        Accept="application/json",
        InputFilter="$.f",
        JoinSource="Input",
        OutputFilter="$['id','SageMakerOutput']",
    )
    result = io.BytesIO()
    one.transform(io.BytesIO(b'{"id":1,"f":[1,2]}\n{"id":2,"f":[3,4]}\n'), result, "x")
    assert [json.loads(line) for line in result.getvalue().splitlines()] == [
        {"id": 1, "SageMakerOutput": {"score": 3}},
        {"id": 2, "SageMakerOutput": {"score": 7}},
    ]


def tar_of(path, *members):
    with tarfile.open(path, "w:gz") as archive:
        for name, kind, target in members:
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, target
            member.size = 1 if kind == tarfile.REGTYPE else 0
            archive.addfile(member, io.BytesIO(b"x"))
    return path


@pytest.mark.parametrize(
    "members",
    [
        [("../x", tarfile.REGTYPE, "")],
        [("/x", tarfile.REGTYPE, "")],
        [("a/../../x", tarfile.REGTYPE, "")],
        [("a", tarfile.SYMTYPE, "..")],
        [("d/a", tarfile.SYMTYPE, "../../x")],
        [("a", tarfile.SYMTYPE, "/etc")],
        [("a", tarfile.LNKTYPE, "../x")],
        [("d", tarfile.SYMTYPE, "."), ("d/../../x", tarfile.REGTYPE, "")],
        [("fifo", tarfile.FIFOTYPE, "")],
        [("device", tarfile.CHRTYPE, "")],
    ],
)
def test_members_that_leave_their_folder_are_refused_by_name(tmp_path, members):
    archive = tar_of(tmp_path / "m.tar.gz", *members)
    (tmp_path / "inside").mkdir()
    with pytest.raises(job_files.JobError, match=r"m\.tar\.gz: the member .* is refused"):
        job_files.extract(archive, tmp_path / "inside")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["inside", "m.tar.gz"]


def test_links_inside_an_archive_are_unpacked(tmp_path):
    members = [("d/a", tarfile.REGTYPE, ""), ("b", tarfile.SYMTYPE, "d/a")]
    job_files.extract(tar_of(tmp_path / "m.tar.gz", *members), tmp_path / "inside")
    assert (tmp_path / "inside" / "b").read_text() == "x"


def test_answers_that_do_not_match_are_refused():
    one = batch(lambda *_: (b"1\n", "text/csv"), JoinSource="Input")
    with pytest.raises(job_files.JobError, match="answered 1 records to 2"):
        one.transform(io.BytesIO(b"a\nb\n"), io.BytesIO(), "x")


def test_a_model_that_answers_nothing_writes_nothing():
    def refuse(*_):
        raise batch_transform.Refused(204, "empty")

    result = io.BytesIO()
    batch(refuse, AssembleWith="Line").transform(io.BytesIO(b"a\n"), result, "x")
    assert result.getvalue() == b""


@pytest.mark.parametrize(
    ("found", "relation", "wanted", "expected"),
    [
        ("1.10.0", ">=", "1.9", True),
        ("1.9", "==", "1.9.0", True),
        ("1.9.1", "==", "1.9.*", True),
        ("2.0", "~=", "1.9", False),
        ("1.10", "~=", "1.9", True),
        ("1.9.5", "~=", "1.9.2", True),
        ("1.10", "~=", "1.9.2", False),
        ("1.9", "!=", "1.9", False),
        ("3.0", "<", "3", False),
        ("2.9", "<=", "2.10", True),
    ],
)
def test_versions_compare_by_their_numbers(found, relation, wanted, expected):
    assert holds(found, relation, wanted) is expected


@given(st.dictionaries(st.text("ab-_c", min_size=1), st.integers() | st.text() | st.booleans()))
def test_script_arguments_are_sorted_pairs(values):
    words = script_mode.argv(values)
    names = [word.lstrip("-") if len(word) > 2 else word[1:] for word in words[::2]]
    assert len(words) == 2 * len(values)
    assert words[1::2] == [str(values[name]) for name in sorted(values)]
    assert all(word.startswith("-") for word in words[::2])
    assert len(names) == len(values)


def test_hyperparameters_of_the_built_in():
    parsed = xgboost_train.parse(
        {
            "num_round": "5",
            "eta": "0.2",
            "eval_metric": '["auc", "error"]',
            "objective": "reg:linear",
        }
    )
    assert parsed["rounds"] == 5
    assert parsed["parameters"]["objective"] == "reg:squarederror"
    assert parsed["parameters"]["eval_metric"] == ["auc", "error"]
    assert xgboost_train.parse({"num_round": "5", "dsplit": "row"})["parameters"].keys() == {
        "nthread"
    }
    with pytest.raises(job_files.JobError, match="at least 1"):
        xgboost_train.parse({"num_round": "0"})


def test_hosts_that_share_their_data_train_once():
    resources = {"hosts": ["algo-1", "algo-2"], "current_host": "algo-2"}
    assert not xgboost_train.leads(resources, {"train": {}})
    assert xgboost_train.leads({**resources, "current_host": "algo-1"}, {"train": {}})
    with pytest.raises(job_files.JobError, match="sharded over 2 hosts"):
        xgboost_train.leads(resources, {"train": {"S3DistributionType": "ShardedByS3Key"}})


ROWS = st.lists(
    st.lists(st.none() | st.floats(-1e6, 1e6, width=32), min_size=2, max_size=2), min_size=1
)


@given(ROWS, st.sampled_from(",;\t|"))
def test_csv_rows_round_trip_with_missing_values(rows, delimiter):
    text = "\n".join(delimiter.join("" if x is None else repr(x) for x in row) for row in rows)
    found = xgboost_data.csv_rows(text, "x").tolist()
    expected = [[None if x is None else pytest.approx(x) for x in row] for row in rows]
    assert [[None if x != x else x for x in row] for row in found] == expected  # noqa: PLR0124 - nan


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "has no rows"),
        ("1,2\n3\n", "row 2 has 1 columns, the first has 2"),
        ("1,2\n3,x\n", "row 2: could not convert"),
        ("a,b\n3,1\n", "must have no header"),
    ],
)
def test_bad_csv_is_refused_with_its_row(text, words):
    with pytest.raises(job_files.JobError, match=words):
        xgboost_data.csv_rows(text, "x")
