"""``clary flow run`` into a feature group."""

from __future__ import annotations

from clary import FeatureGroup, Flow, connect

AT = "2026-01-02T03:04:05Z"


def test_a_flow_of_the_shell_fills_a_group(clary, home, tmp_path):
    with connect(home):
        group = FeatureGroup("people", identifier="id", event_time="at", features={"twice": int})
        rows = tmp_path / "rows.csv"
        rows.write_text(f"id,at,age\na,{AT},2\nb,{AT},3\n")
        flow = Flow("rows").formula("age * 2", "twice").drop("age").write(group)
        file = str(flow.save(tmp_path / "people.flow.json"))
        source = ("--source", f"rows={rows}")
        said = clary("flow", "run", file, *source)
        assert said.code != 0
        assert "feature-group:people" in said.err
        said = clary("flow", "run", file, *source, "--allow", "feature-group:people", "--json")
        assert said.code == 0, said.err
        assert [(one["path"], one["rows"]) for one in said.json] == [("feature-group:people", 2)]
        assert group.get("b")["twice"] == 6
    thing = "arn:aws:sagemaker:us-east-1:123456789012:feature-group/people"
    told = clary("lineage", thing, "--columns", "--json").json
    assert {one["column"]: one["computed from"] for one in told}["twice"] == "rows.age"
