"""Check the configuration and what it points at, and say what to do."""

import argparse
import asyncio
import json
import os
import secrets
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

import asyncpg

from anamnesis.db import binaries
from anamnesis.db.migrating import durability_problems, owns_tables, pending, role_problems, wall_problems
from anamnesis.db.resealing import sampled
from anamnesis.kernel.errors import Unavailable
from anamnesis.settings import VARIABLES, Ai, Provider, Secret, Settings, SettingsInvalid, Variable

SUMMARY: Final = "check the configuration and the environment"
_CONNECT_S: Final = 3.0
_STORE_S: Final = 8.0
_OLDEST_SERVER: Final = 150000
_LARGEST_KEY_SET: Final = 64 * 1024
_OWNS_TABLES: Final = (
    "the login of DATABASE_URL owns the tables and works as anamnesis_app: whoever takes it over is the owner again."
    " Two logins are safer: DATABASE_DIRECT_URL for the owner, which migrates"
)


class Outcome(StrEnum):
    """How a check came out. SKIPPED: there was nothing to check here."""

    OK = "ok"
    SKIPPED = "skipped"
    WARNING = "warning"
    INVALID = "invalid"


_STATUS: Final = {Outcome.OK: 0, Outcome.SKIPPED: 0, Outcome.WARNING: 1, Outcome.INVALID: 2}


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found out about one part; words never hold a value of a variable."""

    part: str
    outcome: Outcome
    words: str


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """How to say it, and whether to call the outside."""
    parser.add_argument("--json", action="store_true", help="one JSON object instead of text")
    parser.add_argument("--live", action="store_true", help="also call the outside services that are configured")


def run(arguments: argparse.Namespace) -> int:
    """Exit 0 when all is good, 1 when usable with warnings or something was not reached, 2 when invalid."""
    findings = asyncio.run(check(os.environ, is_live=arguments.live))
    status = max(_STATUS[finding.outcome] for finding in findings)
    states = [(variable, _state(variable, os.environ)) for variable in VARIABLES]
    print(_as_json(states, findings, status) if arguments.json else _as_text(states, findings, status))
    return status


async def check(environment: Mapping[str, str], *, is_live: bool = False) -> list[Finding]:
    """Everything that can be said about this environment; an invalid one is not tried out."""
    try:
        settings = Settings.from_env(environment)
    except SettingsInvalid as invalid:
        return [Finding(problem.variable, Outcome.INVALID, problem.advice) for problem in invalid.problems]
    findings = [Finding("settings", Outcome.OK, "every variable can be used")]
    findings += [Finding(problem.variable, Outcome.WARNING, problem.advice) for problem in settings.warnings]
    findings += _encryption(settings)
    findings += _content(settings)
    findings += [finding async for finding in _models(settings, is_live=is_live)]
    findings += [finding async for finding in _database(settings)]
    findings += [finding async for finding in _identity(settings, is_live=is_live)]
    findings.append(await _files(settings))
    return findings


def _encryption(settings: Settings) -> Iterator[Finding]:
    """Under which key people's words are written; that production has none is among the warnings of the settings."""
    if settings.encryption_keys:
        (first, _), *others = settings.encryption_keys
        more = f"; {', '.join(key_id for key_id, _ in others)} still read" if others else ""
        yield Finding("encryption", Outcome.OK, f"what people write is encrypted under {first}{more}")
    elif not settings.is_production:
        yield Finding(
            "encryption", Outcome.SKIPPED, "ENCRYPTION_KEYS is unset: the demo has its own; `serve` encrypts nothing"
        )


def _content(settings: Settings) -> Iterator[Finding]:
    from anamnesis.content import ContentInvalid, load_content  # noqa: PLC0415 - an invalid environment never needs it

    try:
        content = load_content()
    except ContentInvalid as invalid:
        yield Finding("content", Outcome.INVALID, f"{len(invalid.problems)} problems; see `anamnesis content check`")
        return
    said = f"{len(content.rules)} rules, version {content.version}"
    if content.is_draft and settings.content_status == "signed":
        yield Finding("content", Outcome.INVALID, "CONTENT_STATUS asks for signed content, and this is a draft")
    else:
        yield Finding("content", Outcome.OK, f"{said}{', draft: no clinician has signed it' * content.is_draft}")


async def _models(settings: Settings, *, is_live: bool) -> AsyncIterator[Finding]:
    """Which models word the questions; whatever happens to them, the built-in interviewer answers."""
    ai = settings.ai
    if not ai.outside:
        yield Finding("ai", Outcome.OK, "the built-in interviewer, which needs no model")
    for provider in ai.outside:
        if is_live:
            yield await _asked(provider, ai)
        else:
            yield Finding("ai", Outcome.OK, f"{provider}: a key is set; it was not called (--live calls it)")
        yield Finding("ai", Outcome.OK, f"{provider}: {_place(provider, ai)}")
    if ai.outside:
        yield Finding("ai", Outcome.OK, _caps(ai))
    if ai.outside and not settings.consent_recorded_elsewhere:
        yield Finding(
            "ai", Outcome.OK, "a patient's words go to a model only after user.giveConsent; until then built-in"
        )
    if ai.outside:
        seen = "models see" if settings.shows_photos else "no model sees"
        yield Finding("ai", Outcome.OK, f"{seen} the photos patients send (AI_PHOTOS)")


def _caps(ai: Ai) -> str:
    """What models may cost at most, each cap with its setting."""
    if ai.unpriced:
        return f"no cap is kept: the price of {', '.join(ai.unpriced)} is not set (AI_PRICES)"
    caps = (
        (ai.session_usd, "an interview (AI_SESSION_USD)"),
        (ai.patient_usd, "a patient and day (AI_PATIENT_USD)"),
        (ai.daily_usd, "a day altogether (AI_DAILY_USD)"),
    )
    return f"at most {', '.join(f'${usd:.2f} {of_what}' for usd, of_what in caps if usd is not None)}"


def _place(provider: Provider, ai: Ai) -> str:
    """Where a patient's words would go, as far as the operator has said."""
    if ai.is_outside_forbidden:
        return "inside this deployment; any other address is refused before a connection (AI_OUTSIDE)"
    country = ai.country_of(provider)
    return f"works in {country}" if country else "in which country it works is not marked (AI_COUNTRIES)"


async def _asked(provider: Provider, ai: Ai) -> Finding:
    """One real call with a question of our own and nothing of a patient: its model, how long it took, what it cost."""
    from anamnesis.bootstrap import ask_once  # noqa: PLC0415 - only a live check goes out
    from anamnesis.llm.port import ModelFailed  # noqa: PLC0415 - same

    try:
        call = await ask_once(provider, ai)
    except ModelFailed as failed:
        why = f"{type(failed).__name__.removeprefix('Model').lower()}{f' ({failed.detail})' if failed.detail else ''}"
        return Finding("ai", Outcome.WARNING, f"{provider}: the call failed: {why}; the built-in interviewer answers")
    cost = "its cost is not known (AI_PRICES)" if call.cost_microusd is None else f"${call.cost_microusd / 1e6:.6f}"
    tokens = "unknown" if call.input_tokens is None else f"{call.input_tokens} in, {call.output_tokens} out"
    return Finding(
        "ai", Outcome.OK, f"{provider}: {call.model} answered in {call.latency_ms} ms, tokens {tokens}, {cost}"
    )


async def _database(settings: Settings) -> AsyncIterator[Finding]:
    urls = {"database": settings.database.url, "database (direct)": settings.database.direct_url}
    if settings.database.url is None:
        yield _private_server(settings)
    for part, url in urls.items():
        if url is not None:
            key_ids = frozenset(key_id for key_id, _ in settings.encryption_keys)
            async for finding in _server(part, url, key_ids):
                yield finding


def _private_server(settings: Settings) -> Finding:
    try:
        folder = binaries.find_programs(settings.database.pg_bin)
    except binaries.NoPostgres as missing:
        return Finding("database", Outcome.WARNING, str(missing))
    major = binaries.major_version(folder)
    return Finding("database", Outcome.OK, f"DATABASE_URL is unset; the demo runs a private PostgreSQL {major}")


async def _server(part: str, url: Secret, key_ids: frozenset[str]) -> AsyncIterator[Finding]:
    try:
        connection = await asyncpg.connect(url.reveal(), timeout=_CONNECT_S, command_timeout=_CONNECT_S)
    except asyncpg.PostgresError as refused:
        yield Finding(part, Outcome.WARNING, f"the server refused the connection ({type(refused).__name__})")
        return
    except (OSError, TimeoutError, ValueError, asyncpg.InterfaceError):
        yield Finding(part, Outcome.WARNING, "could not be reached")
        return
    try:
        for finding in await _inspect(part, connection, key_ids):
            yield finding
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as failed:
        yield Finding(part, Outcome.WARNING, f"stopped answering ({type(failed).__name__})")
    finally:
        connection.terminate()


async def _inspect(part: str, connection: Any, key_ids: frozenset[str]) -> list[Finding]:
    version = int(await connection.fetchval("SHOW server_version_num"))
    findings = [Finding(part, Outcome.OK, f"PostgreSQL {version // 10000} answers")]
    if version < _OLDEST_SERVER:
        findings.append(Finding(part, Outcome.WARNING, "is older than PostgreSQL 15, which is not tested"))
    if await owns_tables(connection):
        findings.append(Finding(part, Outcome.OK, _OWNS_TABLES))
    problems = [
        problem
        for problems_of in (durability_problems, role_problems, wall_problems)
        for problem in await problems_of(connection)
    ]
    missing = await _missing(connection)
    if missing:
        problems.append(f"{missing} migrations are missing; run `anamnesis migrate`")
    else:
        problems += [
            f"ENCRYPTION_KEYS lacks {key_id}, under which words stand here: they cannot be read until it is back"
            for key_id in sorted(await sampled(connection) - key_ids)
        ]
    return [*findings, *(Finding(part, Outcome.WARNING, problem) for problem in problems)]


async def _missing(connection: Any) -> int:
    try:
        return len(await pending(connection))
    except asyncpg.InsufficientPrivilegeError:
        return 0  # a login that may not read the ledger is told of its missing role instead


async def _files(settings: Settings) -> Finding:
    """Whether a photo could be kept: tried out, for nothing else tells before a patient sends one."""
    from anamnesis.bootstrap import blobs_of  # noqa: PLC0415 - an invalid environment never needs it

    bucket = settings.files.bucket
    unmade = _unmade(Path(settings.files.folder)) if bucket is None else None
    if unmade is not None:
        return unmade
    blobs, key = blobs_of(settings), secrets.token_hex(16)
    where = "the folder FILES_FOLDER names" if bucket is None else "the bucket FILES_S3_BUCKET names"
    try:
        async with asyncio.timeout(_STORE_S):
            await blobs.put(key, b"anamnesis check")
            whole = await blobs.get(key) == b"anamnesis check"
            await blobs.delete(key)
    except (Unavailable, FileNotFoundError, TimeoutError):
        whole = False
    if whole:
        return Finding("files", Outcome.OK, f"{where} keeps, gives and deletes files")
    return Finding("files", Outcome.WARNING, f"{where} could not keep, give and delete a file: no photo can be kept")


def _unmade(folder: Path) -> Finding | None:
    """What is to be said of a folder that is not there yet, which a check does not make."""
    if folder.exists():
        return None
    above = next(each for each in folder.absolute().parents if each.exists())
    if above.is_dir() and os.access(above, os.W_OK | os.X_OK):
        return Finding("files", Outcome.OK, "the folder FILES_FOLDER names will be made with the first file")
    return Finding("files", Outcome.WARNING, "the folder FILES_FOLDER names cannot be made: no photo can be kept")


async def _identity(settings: Settings, *, is_live: bool) -> AsyncIterator[Finding]:
    identity = settings.identity
    if identity.jwt_key is not None:
        yield Finding("auth", Outcome.OK, "tokens are verified with CLERK_JWT_KEY, without the network")
    elif identity.jwks_url is None:
        yield Finding("auth", Outcome.SKIPPED, "no key of Clerk is set; only the demo can sign people in")
    elif is_live:
        yield await _keys(identity.jwks_url)
    else:
        yield Finding("auth", Outcome.OK, "tokens are verified with the issuer's keys; they were not fetched")


async def _keys(url: str) -> Finding:
    import httpx2  # noqa: PLC0415 - only a live check goes out

    try:
        async with httpx2.AsyncClient(timeout=_CONNECT_S) as client:
            answer = await client.get(url)
        keys = json.loads(answer.content[:_LARGEST_KEY_SET]).get("keys")
    except (httpx2.HTTPError, ValueError, AttributeError):
        return Finding("auth", Outcome.WARNING, "the issuer's keys could not be fetched")
    if not keys:
        return Finding("auth", Outcome.WARNING, "the issuer answered without keys")
    return Finding("auth", Outcome.OK, f"the issuer answered with {len(keys)} keys")


def _state(variable: Variable, environment: Mapping[str, str]) -> str:
    """Whether it is set, never to what."""
    if variable.name in environment:
        return "set"
    return f"default: {variable.default}" if variable.default else "unset"


def _as_text(states: list[tuple[Variable, str]], findings: list[Finding], status: int) -> str:
    width = max(len(variable.name) for variable, _ in states)
    table = [
        f"  {variable.name:<{width}}  {state}{'  (required in production)' * variable.is_required}"
        for variable, state in states
    ]
    found = [f"  {finding.outcome.upper():<8} {finding.part}: {finding.words}" for finding in findings]
    verdict = ("All good.", "Usable, with the warnings above.", "Not usable: change what is marked INVALID.")[status]
    return "\n".join(["Variables", *table, "", "Checks", *found, "", verdict])


def _as_json(states: list[tuple[Variable, str]], findings: list[Finding], status: int) -> str:
    variables = [
        {"name": variable.name, "state": state, "required": variable.is_required, "purpose": variable.purpose}
        for variable, state in states
    ]
    words = ("ok", "warnings", "invalid")
    report = {"status": words[status], "exit": status, "variables": variables, "checks": [*map(asdict, findings)]}
    return json.dumps(report, ensure_ascii=False, indent=2)
