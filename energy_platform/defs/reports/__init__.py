"""Reports: pages for people, made from the published generation."""
