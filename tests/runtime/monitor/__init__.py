"""Tests of what the resource monitor reads."""
