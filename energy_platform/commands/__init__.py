"""The parts of the ``energy`` command line, one module a group of commands; thin, no logic."""
