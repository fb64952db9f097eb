"""What clinicians write and sign, loaded and validated."""
