"""Monitoring: baselines, schedules, what they find, and what happens next."""
