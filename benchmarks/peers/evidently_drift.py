"""Evidently's drift preset over two Parquet files: prints the processor time of the report alone.

Run by Evidently's own interpreter; reading the files is not counted.
"""

import json
import sys
import time
import warnings

warnings.filterwarnings("ignore")

import pandas as pd  # noqa: E402 - its import warns
from evidently import DataDefinition, Dataset, Report  # noqa: E402 - the same
from evidently.presets import DataDriftPreset  # noqa: E402 - the same

before, now = map(pd.read_parquet, sys.argv[1:])
numbers = [name for name in before if before[name].dtype.kind in "if"]
definition = DataDefinition(
    numerical_columns=numbers, categorical_columns=[name for name in before if name not in numbers]
)
began = time.process_time()
report = Report([DataDriftPreset()]).run(
    Dataset.from_pandas(now, data_definition=definition),
    Dataset.from_pandas(before, data_definition=definition),
)
report.json()
print(json.dumps({"cpu_s": time.process_time() - began, "columns": len(before.columns)}))
