"""The stage ``lake``: landed files as tables, with the account of every row."""
