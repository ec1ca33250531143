"""The pages on endpoints, later answers and scanning work as they say."""

from __future__ import annotations

import json
import os
import pickle
import re
import shutil
import subprocess
import sys
from pathlib import Path

from tests.docs.test_docs import ROOT, clary, ran, shown

ABALONE = ROOT / "examples/abalone"


class Runs:
    def __reduce__(self):
        return os.system, ("true",)


def test_the_tutorial_works_as_it_says(tmp_path):
    program = "\n".join(shown("docs/tutorials/first-endpoint.md"))
    home = tmp_path / "home"
    before, deletion = program.split("    endpoint.delete()")
    done = ran(before, home, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines() == ["[265. 265. 265. 265.]", "[420.]", "2 2"]
    page = (ROOT / "docs/tutorials/first-endpoint.md").read_text("utf-8")
    commands = re.findall(r"clary endpoints (.+)$", page, re.MULTILINE)[:3]
    for command in commands:
        words = command.split()
        asked = "[[5, 1]]" if words[0] == "invoke" else ""
        done = clary("endpoints", *words, "--home", home, input=asked)
        assert done.returncode == 0, done.stderr
        if asked:
            assert [round(one) for one in json.loads(done.stdout)] == [510]
    rest = f"import clary\nendpoint = clary.endpoints.get('houses')\nendpoint.delete(){deletion}"
    assert ran(rest, home, tmp_path).returncode == 0


def test_the_program_on_later_answers_runs(tmp_path):
    (tmp_path / "later.py").write_text("\n".join(shown("docs/how-to/answer-later.md")))
    argv = ("run", "--home", tmp_path / "home", "--", sys.executable, "later.py")
    done = clary(*argv, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


def test_scanning_ends_as_the_page_says(tmp_path):
    page = (ROOT / "docs/how-to/scan-models.md").read_text("utf-8")
    assert "ends with 0 when nothing is dangerous, with 1 when something is" in page
    file = tmp_path / "model.pkl"
    for content, code in ((pickle.dumps([1]), 0), (pickle.dumps(Runs()), 1), (b"\x80\x04]", 2)):
        file.write_bytes(content)
        assert clary("models", "scan", file).returncode == code


def test_the_example_makes_the_registered_model_live(tmp_path):
    environment = {**os.environ, "CLARY_HOME": str(tmp_path / "home")}
    for name in ("pipeline.py", "endpoint.py"):
        shutil.copy(ABALONE / name, tmp_path)
    measured = ["length", "diameter", "height"]
    measured += [f"{one}_weight" for one in ("whole", "shucked", "viscera", "shell")]
    rows = [",".join(["sex", *measured, "rings"])]
    rows += [f"{'FIM'[n % 3]},{f'{n / 60},' * 7}{5 + n % 10}" for n in range(60)]
    for name in ("known.csv", "caught_later.csv"):
        (tmp_path / name).write_text("\n".join(rows))

    def python(*words):
        argv = [sys.executable, *words]
        done = subprocess.run(
            argv, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    program = "import pipeline as p; p.abalone.start(mse_threshold=1e6).wait()"
    python("-c", program)
    python("-m", "clary", "models", "approve", "AbaloneModels")
    said = python("endpoint.py", "caught_later.csv").splitlines()
    assert said[0].split() == ["sex", "length", "rings"]
    assert len(said) == 4
    assert Path(tmp_path / "home").is_dir()
