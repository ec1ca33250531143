"""A summary of a Parquet file by Evidently."""

import os
import sys

os.environ["DO_NOT_TRACK"] = "1"

import pandas as pd
from evidently import Dataset, Report
from evidently.presets import DataSummaryPreset

result = Report([DataSummaryPreset()]).run(Dataset.from_pandas(pd.read_parquet(sys.argv[1])), None)
print(len(result.json()))
