"""The demo clinic's people and cases."""
