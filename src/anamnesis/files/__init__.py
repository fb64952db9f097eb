"""Photos and documents of a case."""
