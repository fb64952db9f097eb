"""Anamnesis takes a patient's history, watches for danger and hands the doctor a checkable note."""
