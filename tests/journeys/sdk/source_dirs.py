"""Source directories that bring requirements.txt, by the SDK's own processors and estimators."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import sagemaker
from sagemaker.processing import FrameworkProcessor
from sagemaker.sklearn import SKLearn

folder = Path(tempfile.mkdtemp())
os.chdir(folder)
source = folder / "source"
source.mkdir()
(source / "requirements.txt").write_text("iniconfig==2.1.0\n")
(source / "main.py").write_text(
    "import iniconfig, sklearn\n"
    "from importlib.metadata import version\n"
    "assert version('iniconfig') == '2.1.0'\n"
    "print('it is there, beside', sklearn.__version__)\n"
)
settings = {
    "framework_version": "1.2-1",
    "role": sagemaker.get_execution_role(),
    "instance_type": "ml.m5.xlarge",
    "instance_count": 1,
}
processor = FrameworkProcessor(estimator_cls=SKLearn, **settings)
processor.run(code="main.py", source_dir=str(source), logs=False)
estimator = SKLearn(entry_point="main.py", source_dir=str(source), py_version="py3", **settings)
estimator.fit(logs="None")
print(
    "SOURCES",
    processor.latest_job.describe()["ProcessingJobStatus"],
    estimator.latest_training_job.name,
)
