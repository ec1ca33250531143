"""Metrics of what runs, and alarms on them."""
