"""Measuring the product: simulated patients, the guard's corpus. Not part of the service; ships with it."""
