"""Locust user classes for real-time systems; each file is one protocol's."""
