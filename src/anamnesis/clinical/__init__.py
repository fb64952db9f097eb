"""Medicine as values and total functions: no clock, no network, no framework, nothing but the standard library."""
