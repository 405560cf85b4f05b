"""What people and programs look at: reports, queries, APIs. Reads published generations only, never the warehouse."""
