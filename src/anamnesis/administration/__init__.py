"""What an operator does about accounts, and what was done."""
