"""How a call is counted within its minute, in the table that all processes count in."""

from typing import Final

# A minute begins with the first call in it. It is one row a key, so every process counts together. One that ends later
# than a minute from now was begun before the clock was set back, and would keep its caller out until it has caught up.
_GOES_ON: Final = "r.ends_at > clock_timestamp() AND r.ends_at <= clock_timestamp() + interval '1 minute'"
#: The end of an ``INSERT INTO rate_windows AS r (key, ends_at, used)`` of a first call, for one more of a known key.
ONE_MORE: Final = f"""
ON CONFLICT (key) DO UPDATE
SET used = CASE WHEN {_GOES_ON} THEN r.used + 1 ELSE 1 END,
    ends_at = CASE WHEN {_GOES_ON} THEN r.ends_at ELSE clock_timestamp() + interval '1 minute' END"""
