"""The interview."""
