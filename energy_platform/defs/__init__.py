"""Glue: one folder a stage of the flow, the same file names in each; loaded by definitions.py.

An asset's body is read, call, write. If it needs a comment, the logic belongs in ``domain/``.
"""
