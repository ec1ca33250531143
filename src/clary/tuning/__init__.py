"""Hyperparameter tuning: a durable search over training jobs."""
