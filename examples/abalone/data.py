"""Write the Abalone data as the pipeline expects them: ``python data.py FOLDER``.

The animals come from scikit-lego: 4177 of them, with lengths and weights scaled to [0, 1] and the
number of rings, which tells the age. Every tenth one is kept back as if it were caught later:
``batch.csv`` has its features, encoded as the model reads them, for the batch transform.
"""

import sys
from pathlib import Path

import pandas as pd
from preprocessing import COLUMNS, encoder
from sklego.datasets import load_abalone


def write(folder):
    """Write ``abalone.csv`` and ``batch.csv`` into ``folder``; return their paths."""
    animals = load_abalone(as_frame=True)[COLUMNS]
    later = animals.index % 10 == 0
    known, new = animals[~later], animals[later]
    source, batch = Path(folder) / "abalone.csv", Path(folder) / "batch.csv"
    known.to_csv(source, header=False, index=False)
    features = encoder().fit(known).transform(new)
    pd.DataFrame(features).to_csv(batch, header=False, index=False)
    return source, batch


if __name__ == "__main__":
    print(*write(sys.argv[1]))
