"""Tests; the folders mirror the package. builders.py plants known faults, so that recall can be asserted."""
