"""Functions: zipped handlers, called with an event, each call isolated."""
