"""Turn raw measurements of abalone into rows that XGBoost reads, and split them.

A row has the label first, the number of rings, then seven measurements and the sex as three
columns. There is no header, because the built-in algorithm expects none.
"""

from pathlib import Path

import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import OneHotEncoder

LABEL = "rings"
MEASUREMENTS = [
    "length",
    "diameter",
    "height",
    "whole_weight",
    "shucked_weight",
    "viscera_weight",
    "shell_weight",
]
SEXES = ["F", "I", "M"]  # female, infant, male
COLUMNS = ["sex", *MEASUREMENTS, LABEL]
ROOT = Path("/opt/ml/processing")


def encoder():
    """Fill gaps with the median and write the sex as three columns; trees need no scaling."""
    return ColumnTransformer(
        [
            ("measurements", SimpleImputer(strategy="median"), MEASUREMENTS),
            ("sex", OneHotEncoder(categories=[SEXES], handle_unknown="ignore"), ["sex"]),
        ],
        sparse_threshold=0,
    )


def write(part, encode, path):
    features = pd.DataFrame(encode.transform(part))
    features.insert(0, LABEL, part[LABEL].to_numpy())
    path.mkdir(parents=True, exist_ok=True)
    features.to_csv(path / f"{path.name}.csv", header=False, index=False)
    print(f"{path.name}: {len(features)} rows of {features.shape[1]} columns")


def main():
    source = sorted(path for path in (ROOT / "input").glob("*.csv"))
    animals = pd.concat(pd.read_csv(path, header=None, names=COLUMNS) for path in source)
    print(f"read {len(animals)} animals from {[path.name for path in source]}")

    train, rest = train_test_split(animals, test_size=0.3, random_state=17)
    validation, test = train_test_split(rest, test_size=0.5, random_state=17)
    encode = encoder().fit(train)  # on the training rows alone, so that nothing leaks
    for name, part in (("train", train), ("validation", validation), ("test", test)):
        write(part, encode, ROOT / name)


if __name__ == "__main__":
    main()
