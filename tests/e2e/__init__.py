"""Tests with real `locust` processes."""
