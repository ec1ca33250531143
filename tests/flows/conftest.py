"""The comparison of tables and records stands beside the tests, Spark beside expressions'."""

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "expressions")]
