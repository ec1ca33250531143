"""A profile of a Parquet file by ydata-profiling, its cheapest setting."""

import sys
import warnings

import pandas as pd
from ydata_profiling import ProfileReport

warnings.filterwarnings("ignore")
report = ProfileReport(pd.read_parquet(sys.argv[1]), minimal=True, progress_bar=False)
print(len(report.to_json()))
