"""Protocols: bytes in, bytes out. Nothing clinical."""
