"""Alerts: rules on what is published and on the runs, deliveries, the digest."""
