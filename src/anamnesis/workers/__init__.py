"""Jobs in, effects out."""
