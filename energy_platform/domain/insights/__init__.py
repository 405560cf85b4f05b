"""Words and figures for people, made by rules from table values.

Belongs here: what a figure is and where it comes from, how numbers are written, which sentences
the figures support. Does not belong here: reading the tables, drawing, HTML (serving/report).
"""
