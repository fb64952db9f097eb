"""Words that every floor of the house needs; standard library only."""
