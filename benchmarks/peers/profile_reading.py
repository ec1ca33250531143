"""A Parquet file read by pyarrow, and nothing done with it."""

import sys

from pyarrow import parquet

with parquet.ParquetFile(sys.argv[1], pre_buffer=False) as file:
    print(sum(len(batch) for batch in file.iter_batches(122_880)))
