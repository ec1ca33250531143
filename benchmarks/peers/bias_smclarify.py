"""The metrics of bias of a Parquet file's first rows, by smclarify; prints the seconds."""

import logging
import sys
import time
import warnings

import pyarrow.parquet as pq
from smclarify.bias.metrics import POSTTRAINING_METRICS
from smclarify.bias.report import FacetColumn, LabelColumn, StageType, bias_report

warnings.filterwarnings("ignore")
logging.disable(logging.CRITICAL)
rows = int(sys.argv[2])
begin = time.perf_counter()
columns = ["sex", "label", "prediction", "region"]
frame = next(pq.ParquetFile(sys.argv[1]).iter_batches(rows, columns=columns)).to_pandas()
group = frame.pop("region")
after = [one.__name__ for one in POSTTRAINING_METRICS if one.__name__ != "FT"]
for stage, metrics in ((StageType.PRE_TRAINING, ["all"]), (StageType.POST_TRAINING, after)):
    label = LabelColumn("label", frame.label, [1])
    predicted = LabelColumn("prediction", frame.prediction, [1])
    bias_report(frame, FacetColumn("sex", [1]), label, stage, predicted, metrics, group)
print(time.perf_counter() - begin)
