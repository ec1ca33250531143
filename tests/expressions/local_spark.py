"""A local Spark in a process of its own, where one is installed or can be."""

import contextlib
import datetime as dt
import importlib.util
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from clary.expressions import TIMESTAMPTZ

HERE = Path(__file__).parent
REQUIREMENTS = ("pyspark==4.3.0",)
_LOCAL = {"TZ": "UTC", "SPARK_LOCAL_IP": "127.0.0.1"}


class Spark:
    """A local Spark in a process of its own."""

    def __init__(self, python):
        command = [str(python), str(HERE / "spark_worker.py")]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(
            command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, env=os.environ | _LOCAL
        )

    def rows(self, tables, text):
        """Ask a query over tables, ``{name: (schema, rows)}``. Raises RuntimeError."""
        given = {name: (ddl(schema), rows) for name, (schema, rows) in tables.items()}
        pickle.dump((given, text), self._process.stdin)
        self._process.stdin.flush()
        found, problem = pickle.load(self._process.stdout)
        if problem:
            raise RuntimeError(problem)
        return found

    def close(self):
        self._process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(60)
        self._process.kill()
        self._process.wait()
        self._process.stdout.close()


def python():
    """Find an interpreter with pyspark, or make one where it can be downloaded."""
    if shutil.which("java") is None:
        pytest.skip("Spark needs Java, which is not installed")
    if importlib.util.find_spec("pyspark"):
        return sys.executable
    sys.path.insert(0, str(HERE.parents[1] / "benchmarks"))
    figure = importlib.import_module("figure")
    try:
        return figure.peer_python("spark", REQUIREMENTS)
    except subprocess.SubprocessError:
        pytest.skip("pyspark is not installed, and cannot be")


def ddl(schema):
    return ", ".join(f"`{name.replace('`', '``')}` {kind.spark}" for name, kind in schema.items())


def zoned(value, kind):
    """Give a moment its zone: Spark's are in that of its process, which is UTC."""
    if kind is not None and kind.item is not None and value is not None:
        return [zoned(one, kind.item) for one in value]
    return value.replace(tzinfo=dt.UTC) if kind == TIMESTAMPTZ and value is not None else value
