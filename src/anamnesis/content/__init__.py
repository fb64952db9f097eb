"""What clinicians write and sign, loaded and validated."""

from anamnesis.content.loading import ClinicalContent, ContentInvalid, load_content

__all__ = ["ClinicalContent", "ContentInvalid", "load_content"]
