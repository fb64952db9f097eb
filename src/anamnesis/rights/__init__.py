"""What people may ask of us about their data: a copy, erasure, and an end of keeping."""
