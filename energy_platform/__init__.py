"""A self-hosted energy data-and-ML platform, orchestrated by Dagster."""

__version__ = "0.1.0"
