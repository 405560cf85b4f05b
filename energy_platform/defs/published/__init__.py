"""Published generations: what people and programs read."""
