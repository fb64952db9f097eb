"""What tells who somebody is, as far as its form gives it away."""

import re
from typing import Final

EMAIL: Final = re.compile(r"[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,4}")
#: Nine digits or more, together or after a plus or a nought: anything else is readings, dates and doses.
PHONE: Final = re.compile(r"(?<![\w/.])(?:(?:\+|0)\d?(?:[ ()-]{0,2}\d){8,14}|\d{9,15})(?!\w)")
