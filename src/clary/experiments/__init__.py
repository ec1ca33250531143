"""Runs and what they log: parameters, metrics, artifacts; experiments that group them."""
