"""What the operator's other systems are told: that something happened, by ids alone."""
