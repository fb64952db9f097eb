"""What a person is told happened, without health content."""
