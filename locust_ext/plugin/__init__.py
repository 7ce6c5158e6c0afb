"""The Locust layer: the only folder that imports Locust or Flask."""
