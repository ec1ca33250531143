"""Statistics and constraints of a Parquet file, by clary."""

import sys

from clary.analysis import constraints, statistics, suggestions
from clary.analysis.profiling import profile
from clary.analysis.tables import open_table

with open_table(sys.argv[1]) as table:
    found = profile(table)
written = [
    statistics.write(statistics.statistics(found)),
    constraints.write(suggestions.suggest(found)),
]
print(sum(map(len, written)))
