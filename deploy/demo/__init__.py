"""A year of the platform in minutes: ``python -m deploy.demo``."""
