"""What can go wrong, as kinds. Who answers a request in HTTP or tRPC translates a kind; nobody else knows statuses."""

from dataclasses import dataclass


class AnamnesisError(Exception):
    """The root of every error this system raises on purpose.

    ``str(error)`` is safe to show to the caller: it is written by us and never holds health data,
    driver text or a secret.
    """


@dataclass(frozen=True, slots=True)
class Issue:
    """One thing wrong with one field of an input.

    path names the field from the root, outermost first. details are what a client reads, in its order; where they
    name "path" they hold a placeholder for it.
    """

    message: str
    path: tuple[str | int, ...] = ()
    details: tuple[tuple[str, object], ...] = ()

    def under(self, *outer: str | int) -> "Issue":
        """The same issue seen from further out."""
        return Issue(self.message, (*outer, *self.path), self.details)


@dataclass(eq=False)
class BadInput(AnamnesisError):
    """The caller sent something that cannot be accepted as it is."""

    message: str = "The input is not valid."
    issues: tuple[Issue, ...] = ()

    def __str__(self) -> str:
        return self.message


def refused(*issues: tuple[tuple[str | int, ...], str]) -> BadInput:
    """What is wrong with which field of an input, each field by its path."""
    found = tuple(Issue(text, path, (("code", "custom"), ("message", text), ("path", None))) for path, text in issues)
    return BadInput("\n".join(f"{'.'.join(map(str, path))}: {text}" for path, text in issues), found)


@dataclass(eq=False)
class NotSignedIn(AnamnesisError):
    """The call needs somebody, and nobody known is calling."""

    message: str = "Please sign in first."

    def __str__(self) -> str:
        return self.message


@dataclass(eq=False)
class NotPermitted(AnamnesisError):
    """The caller is known, and may not do this."""

    message: str = "You may not do this."

    def __str__(self) -> str:
        return self.message


@dataclass(eq=False)
class NotFound(AnamnesisError):
    """There is no such thing, or the caller may not learn that there is."""

    message: str = "Not found."

    def __str__(self) -> str:
        return self.message


@dataclass(eq=False)
class Conflict(AnamnesisError):
    """The request contradicts what is already there."""

    message: str = "This contradicts what is already stored."

    def __str__(self) -> str:
        return self.message


@dataclass(eq=False)
class TooManyRequests(AnamnesisError):
    """The caller has used up what it may use for now; retry_after_s is in whole seconds, limit in calls a minute."""

    retry_after_s: int = 1
    limit: int = 0

    def __str__(self) -> str:
        return f"Too many requests. Please try again in {self.retry_after_s} seconds."


@dataclass(eq=False)
class TooLarge(AnamnesisError):
    """The request is over a size limit; limit_bytes says which."""

    limit_bytes: int = 0

    def __str__(self) -> str:
        return f"The request is larger than {self.limit_bytes} bytes."


@dataclass(eq=False)
class NotBuilt(AnamnesisError):
    """The procedure exists in the system this one replaces and has not been ported yet."""

    message: str = "This is not available yet."

    def __str__(self) -> str:
        return self.message


@dataclass(eq=False)
class Unreadable(AnamnesisError):
    """What is stored cannot be read as it was written. Reading changed nothing."""

    def __str__(self) -> str:
        return "Something stored cannot be read. Nothing was changed."


@dataclass(eq=False)
class KeyMissing(Unreadable):
    """What is stored was encrypted under a key that this process does not have; key_id names it and is no secret."""

    key_id: str = ""

    def __str__(self) -> str:
        return (
            f"This cannot be read: the service lacks the encryption key {self.key_id}. Nothing was lost or changed;"
            " it can be read again as soon as the key is back in ENCRYPTION_KEYS."
        )


@dataclass(eq=False)
class NotAsSealed(Unreadable):
    """What is stored is not what was encrypted for this place: it was changed, cut short, or is another row's.

    table, column and row_id say where; they are for whoever repairs it, not for the caller.
    """

    table: str = ""
    column: str = ""
    row_id: str = ""

    def __str__(self) -> str:
        return (
            "Something stored here was changed outside this service, so it is not shown. Nothing else was touched;"
            " the operator can find it with `anamnesis keys status --check`."
        )


@dataclass(eq=False)
class Unavailable(AnamnesisError):
    """A part we need is away for now; what was acknowledged before is safe. retry_after_s is in whole seconds."""

    part: str = "database"
    retry_after_s: int = 2

    def __str__(self) -> str:
        return "The service is busy or restarting. Nothing you sent was lost if it was confirmed. Please try again."
