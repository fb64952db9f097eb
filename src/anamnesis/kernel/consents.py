"""What patients are asked to agree to: each purpose, and the version of its words that is in force."""

from collections.abc import Mapping
from typing import Final

#: A patient's words may be read, and photos seen, by a model outside this system.
OUTSIDE_MODEL: Final = "outside_model"
#: New words need a new version here, and a new consent of everybody: one to earlier words lets nothing out any more.
#: Those of OUTSIDE_MODEL stand in edge/templates/chat.html.
IN_FORCE: Final[Mapping[str, str]] = {OUTSIDE_MODEL: "2026-11-26.2"}
