"""So many profiles of 1,000 rows each, as they are stored, merged into one; prints its seconds."""

import sys
import time

from pyarrow import parquet

from clary.analysis import profiles, stored_profiles
from clary.analysis.profiling import of_batches

with parquet.ParquetFile(sys.argv[1]) as file:
    batches = [batch for batch, _ in zip(file.iter_batches(1_000), range(200), strict=False)]
names = batches[0].schema.names
stored = [stored_profiles.to_bytes(of_batches(names, [batch])) for batch in batches]
count = int(sys.argv[2])
begin = time.perf_counter()
merged = profiles.merge_all(
    stored_profiles.from_bytes(stored[at % len(stored)]) for at in range(count)
)
took = time.perf_counter() - begin
assert merged.rows == count * len(batches[0])
print(took)
