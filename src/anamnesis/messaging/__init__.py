"""Carrying words between people."""
