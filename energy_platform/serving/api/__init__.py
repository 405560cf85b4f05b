"""The HTTP API: readings in; later what people and programs ask of the published tables."""
