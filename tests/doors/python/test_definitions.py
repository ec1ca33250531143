"""What pipelines are refused for before anything runs, and what their definitions say."""

from __future__ import annotations

import json
import threading
from importlib.metadata import version
from pathlib import Path
from typing import Literal

import pandas as pd
import pytest
import xgboost  # noqa: TC002 - annotations are read

import clary
from clary.kernel.errors import InvalidInput
from clary.pipelines.model import parse

LOCK = threading.Lock()
pytestmark = pytest.mark.usefixtures("session")


@clary.step
def rows(n: int) -> pd.DataFrame:
    return pd.DataFrame({"x": range(n)})


@clary.step
def report(frame: pd.DataFrame, scale: float = 1.0) -> dict[str, float]:
    return {"sum": float(frame["x"].sum()) * scale}


@clary.step
def model(frame: pd.DataFrame) -> xgboost.Booster: ...


@clary.step
def locked() -> int:
    return int(LOCK.locked())


@clary.step
def counted(n: int) -> int:
    return n + 1


@clary.step
def imports_late(n: int) -> int:
    import numpy as np  # noqa: PLC0415 - the test is about this

    return int(np.int64(n))


def piped(body, **options):
    """Make a pipeline of one parameter ``n``."""

    def inner(n: int = 3) -> None:
        body(n)

    return clary.pipeline(name=options.pop("name", "piped"))(inner)


def steps(pipeline, **shaping):
    return parse(json.dumps(pipeline.definition(**shaping))).steps


def test_outside_of_a_pipeline_a_step_is_its_function():
    assert report(rows(3)) == {"sum": 3.0}
    assert rows.__name__ == "rows"


@pytest.mark.parametrize(
    ("body", "is_light"),
    [(counted, True), (rows, False), (imports_late, False), (lambda n: report(rows(n)), False)],
)
def test_a_step_without_large_libraries_is_forked_from_a_small_process(body, is_light):
    for step in steps(piped(body)).values():
        environment = step.arguments.get("Environment", {})
        light = {"CLARY_PRELOAD": "none", "CLARY_PROCESS": "shared"}
        assert environment == (light if is_light else {})


@pytest.mark.parametrize(
    "asked", [{"process": True}, {"cpus": 1}, {"memory": "64MiB"}, {"timeout_s": 9}]
)
def test_a_step_that_asks_for_it_has_a_process_of_its_own(asked):
    [step] = steps(piped(clary.step(**asked)(counted.function))).values()
    assert step.arguments["Environment"] == {"CLARY_PRELOAD": "none"}


def test_a_step_is_done_anew_when_what_it_computes_with_has_another_version():
    flow = clary.Flow([{"a": 1.0}], name="rows").standard_scale("a")
    found = steps(piped(lambda n: (flow.fit_step(name="learn")("s3://b/rows.csv"), counted(n))))
    texts = [one.arguments["AppSpecification"]["ContainerArguments"][0] for one in found.values()]
    learn, plain = (json.loads(one)["libraries"] for one in texts)
    assert learn.items() >= {"clary": version("clary"), "duckdb": version("duckdb")}.items()
    assert plain == {}


def test_calls_become_processing_steps_in_order():
    found = steps(piped(lambda n: report(rows(n), scale=2)))
    assert list(found) == ["rows", "report"]
    assert {one.type for one in found.values()} == {"Processing"}
    assert found["report"].dependencies == {"rows"}
    word = found["rows"].arguments["AppSpecification"]["ContainerArguments"][1]
    assert word == {"Get": "Parameters.n"}


def test_the_same_definition_is_made_twice():
    pipeline = piped(lambda n: report(rows(n)))
    assert pipeline.definition() == pipeline.definition()


def test_a_function_called_again_gets_a_number():
    assert list(steps(piped(lambda n: [rows(n), rows(4), rows(5)]))) == [
        "rows",
        "rows-2",
        "rows-3",
    ]


def test_an_item_of_a_result_makes_a_condition():
    def body(n):
        found = report(rows(n))
        with clary.when((found["sum"] <= 9) & (found["sum"] > n) | ~(n == 3)):
            rows(1)
        with clary.otherwise():
            clary.fail(f"{found['sum']} is not {n}")

    found = steps(piped(body))
    assert found["when-report"].branches
    assert (found["rows-2"].branch, found["fail"].branch) == ("IfSteps", "ElseSteps")
    assert found["report"].files == ("result",)
    values = found["fail"].arguments["ErrorMessage"]["Std:Join"]["Values"]
    assert values[1:] == [" is not ", {"Get": "Parameters.n"}]


def test_options_become_members_of_the_step():
    asked = rows.options(name="big", cpus=1, memory="64MiB", retries=2, timeout_s=60, cache="30d")
    step = steps(piped(lambda _: asked(1)))["big"].document
    cluster = step["Arguments"]["ProcessingResources"]["ClusterConfig"]
    assert cluster["InstanceType"] == "clary.c1.m64"
    assert step["Arguments"]["StoppingCondition"] == {"MaxRuntimeInSeconds": 60}
    assert step["CacheConfig"] == {"Enabled": True, "ExpireAfter": "P30D"}
    assert step["RetryPolicies"][0]["MaxAttempts"] == 2


def test_requirements_become_an_environment(tmp_path):
    listed = tmp_path / "requirements.txt"
    listed.write_text("six  # old\n")
    for wanted in (["six"], listed, str(listed)):
        step = steps(piped(lambda _, w=wanted: locked_free.options(requirements=w)()))
        image = step["locked_free"].arguments["AppSpecification"]["ImageUri"]
        assert image.startswith("clary-environment:")


@clary.step
def locked_free() -> int:
    return 1


def test_parameters_have_types_choices_and_defaults(tmp_path):
    (tmp_path / "a.csv").write_text("x\n1\n")

    @clary.pipeline
    def all_kinds(  # noqa: PLR0917 - a parameter of each type
        data: clary.File,
        whole: int = 1,
        share: float = 1,
        name: str = "x",
        truth: bool = False,
        mode: Literal["fast", "slow"] = "fast",
        file: clary.File = tmp_path / "a.csv",
        shards: list[int] = (1, 2),
    ) -> None:
        for shard in shards:
            rows(shard)

    found = {one["Name"]: one for one in all_kinds.definition()["Parameters"]}
    assert {name: one["Type"] for name, one in found.items()} == {
        "data": "String",
        "whole": "Integer",
        "share": "Float",
        "name": "String",
        "truth": "Boolean",
        "mode": "String",
        "file": "String",
    }
    assert "DefaultValue" not in found["data"]
    assert found["share"]["DefaultValue"] == 1.0
    assert found["mode"]["EnumValues"] == ["fast", "slow"]
    assert found["file"]["DefaultValue"].endswith("/a.csv")
    assert len(steps(all_kinds, shards=[1, 2, 3])) == 3


def test_a_long_call_is_a_file_of_its_own():
    step = steps(piped(lambda _: echo("x" * 10_000)))["echo"]
    assert [x["InputName"] for x in step.arguments["ProcessingInputs"]] == ["code", "call"]


@clary.step
def echo(value: str) -> str:
    return value


def test_raw_steps_take_values_and_give_properties():
    def body(n):
        made = clary.raw_step(
            {
                "Name": "Make",
                "Type": "Model",
                "Arguments": {
                    "PrimaryContainer": {
                        "Image": "xgboost:1",
                        "ModelDataUrl": model(rows(n)),
                        "Environment": {"N": n},
                    }
                },
            }
        )
        echo(made["ModelName"])

    found = steps(piped(body))
    assert found["Make"].dependencies == {"model"}
    assert found["echo"].dependencies == {"Make"}


def test_a_diagram_has_every_step_and_branch():
    def body(n):
        with clary.when(report(rows(n))["sum"] > 1):
            rows(1)

    drawn = piped(body).diagram()
    assert drawn.startswith("flowchart TD")
    assert 's2{{"when-report"}}' in drawn
    assert "s2 -->|yes| s3" in drawn


def compared_whole(n):
    with clary.when(rows(n) == 1):
        rows(1)


def in_python(n):
    if report(rows(n))["sum"] > 3:
        rows(1)


def with_and(n):
    with clary.when(report(rows(n))["sum"] > 3 and n == 1):
        rows(1)


def other_function(n):
    rows(n)
    clary.step(lambda: 1).options(name="rows")()


kept = []


def keeps(n):
    kept.append(rows(n))


def uses_kept(n):
    report(kept[0])


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (lambda n: rows("many"), "step rows, argument n: the str 'many' does not fit; legal: int"),
        (lambda n: rows(), "step rows: missing a required argument: 'n'; legal: rows(n)"),
        (lambda n: rows(n, depth=1), "got an unexpected keyword argument 'depth'"),
        (report, "parameter n is int; legal: pandas.DataFrame"),
        (lambda n: rows(report(rows(n))), "result of step report is dict[str, float]; legal: int"),
        (lambda n: locked(), "step locked: its function cannot be pickled: LOCK:"),
        (compared_whole, "declares to return pandas.DataFrame, which no condition"),
        (in_python, "cannot decide while the pipeline is being defined"),
        (with_and, "combine conditions with &, | and ~"),
        (lambda n: list(rows(n)), "cannot be looped over"),
        (lambda n: len(rows(n)), "cannot be counted"),
        (lambda n: f"{n:.2f}", "cannot be formatted as '.2f'"),
        (lambda n: n + 1, "cannot be computed with"),
        (lambda n: 2 * n, "compute inside a step"),
        (bool, "cannot be a truth"),
        (other_function, "step rows: two different steps have this name"),
        (lambda n: [uses_kept(n)], "belongs to another definition of a pipeline"),
        (lambda n: None, "has no steps"),
        (lambda n: clary.when(1).__enter__(), "1 is no condition"),
        (lambda n: clary.otherwise().__enter__(), "there is no `with clary.when(...)`"),
        (lambda n: clary.register(rows(n), group="g"), "is declared as pandas.DataFrame"),
        (
            lambda n: clary.register(model(rows(n)), group="g", approval="Yes"),
            "legal: PendingManualApproval, Approved, Rejected",
        ),
        (lambda n: clary.raw_step({"Name": "x"}), "clary.raw_step, Type: is missing"),
        (rows.options(gpus=60), "asks for 60 GPUs"),
        (lambda n: echo(Path("gone.csv")), "legal: str"),
        (
            lambda n: report([1]),
            "the list [1] does not fit; legal: pandas.DataFrame",
        ),
        (lambda n: report("gone.csv"), "argument frame: gone.csv is no file here; legal: a file"),
        (rows.options(after=["x"]), "after: 'x' is no step"),
        (
            rows.options(requirements=["-r other.txt"]),
            "step rows, requirements, line 1",
        ),
    ],
)
def test_what_cannot_run_is_refused_with_its_place(body, said):
    piped(keeps).definition()
    with pytest.raises(InvalidInput) as refused:
        piped(body).definition()
    told = f"{refused.value.message} {refused.value.hint}"
    assert said in told


@pytest.mark.parametrize("function", [lambda: (yield), print, pd.DataFrame])
def test_only_plain_functions_are_steps(function):
    with pytest.raises(InvalidInput, match="is no plain function"):
        clary.step(function)


def test_attributes_of_later_values_are_refused():
    with pytest.raises(AttributeError, match="result of step model has no predict: its value"):
        piped(lambda n: model(rows(n)).predict(n)).definition()


def test_a_pipelines_arguments_are_given_by_name():
    with pytest.raises(InvalidInput, match="pipeline many, n: is not given by name"):
        clary.pipeline(name="many")(lambda *n: None).definition()


def test_a_pipeline_returns_nothing():
    @clary.pipeline
    def returning(n: int = 1):
        return rows(n)

    with pytest.raises(InvalidInput, match="returns a value"):
        returning.definition()


def test_a_pipeline_is_started_not_called():
    with pytest.raises(InvalidInput, match=r"is not called; legal: .start"):
        piped(rows)(1)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"memory": "2 bananas"}, "memory: '2 bananas'; legal: like 2GiB"),
        ({"cpus": 0}, "cpus: 0; legal: a whole number, 1 to"),
        ({"retries": True}, "retries: True"),
        ({"cache": "long"}, "cache: 'long'; legal: True, or an age"),
        ({"colour": "red"}, "step, colour: no such option; legal: name, cpus"),
        ({"name": "a b"}, "name: 'a b'"),
        ({"timeout_s": -1}, "timeout_s: -1"),
    ],
)
def test_options_are_checked_where_they_are_written(options, said):
    with pytest.raises(InvalidInput) as refused:
        clary.step(**options)
    assert said in refused.value.message


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"n": "6"}, "pipeline piped, n: the str '6' does not fit; legal: int"),
        ({"n": 1.5}, "the float 1.5 does not fit"),
        ({"m": 1}, "pipeline piped, m: no such argument here; legal: n"),
    ],
)
def test_arguments_of_a_start_are_checked(arguments, said):
    with pytest.raises(InvalidInput) as refused:
        piped(rows).start(**arguments)
    assert said in refused.value.message


def test_a_file_that_is_not_there_is_refused():
    @clary.pipeline
    def reading(data: clary.File = "nowhere.csv") -> None:
        report(data)

    with pytest.raises(InvalidInput, match=r"reading, data: nowhere.csv is no file here"):
        reading.definition()


def test_only_words_of_the_body_are_outside_of_a_pipeline_refused():
    for call in (lambda: clary.fail("x"), lambda: clary.register(1, group="g")):
        with pytest.raises(InvalidInput, match="is for the body of a pipeline"):
            call()


def test_every_public_name_is_there():
    assert len(clary.__all__) <= 25
    assert sorted(clary.__all__) == clary.__all__
    for name in clary.__all__:
        assert getattr(clary, name) is not None
