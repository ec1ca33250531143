"""The AWS protocols over HTTP."""
