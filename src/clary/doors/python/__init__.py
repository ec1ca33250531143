"""The door for Python on the same machine: functions as steps, pipelines as functions."""
