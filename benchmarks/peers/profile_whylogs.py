"""A profile of a Parquet file by whylogs."""

import os
import sys

os.environ["WHYLOGS_NO_ANALYTICS"] = "True"

import pandas as pd
import whylogs

view = whylogs.log(pd.read_parquet(sys.argv[1])).view()
print(len(view.to_pandas()))
