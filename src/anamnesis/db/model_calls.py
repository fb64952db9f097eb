"""The ledger of calls to models and the breaker all processes share, in PostgreSQL. Holds no content."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID

from anamnesis.db.postgres import Database
from anamnesis.db.rates import ONE_MORE
from anamnesis.db.viewing import Purpose, at_work, viewing
from anamnesis.kernel.calls import Admission, ModelCall, Sign

# One statement, so one moment for all processes: of those who meet a pause that is over, one wins the row and asks.
# Only who may ask besides can win it: a session that rests or is over a budget would take the probe and not use it.
# A session whose last calls all failed rests too, whoever was asked: its patient has waited often enough. A reply that
# its patient stopped is none of them, and one answer is enough to go on.
# A minute's calls are counted twice over: those that were written down, and who was let in to ask, for what is on its
# way is in no ledger yet. Both are a patient's over all interviews; whoever opens ten asks no more often.
_ADMIT: Final = f"""
WITH mine AS (
    SELECT called_at, outcome, cost_microusd FROM model_calls
    WHERE session_id = $2 AND called_at > clock_timestamp() - interval '1 day'),
latest AS (SELECT called_at, outcome FROM mine WHERE outcome <> 'stopped' ORDER BY called_at DESC LIMIT $5),
patient AS (
    SELECT c.patient_id AS id FROM intake_sessions s JOIN connections c ON c.id = s.connection_id WHERE s.id = $2),
of_patient AS (
    SELECT coalesce(sum(cost_microusd) FILTER (WHERE called_at >= current_date), 0) AS spent,
           count(*) FILTER (WHERE called_at > clock_timestamp() - interval '1 minute') AS lately
    FROM model_calls
    WHERE called_at >= least(current_date, clock_timestamp() - interval '1 minute') AND session_id IN (
        SELECT theirs.id FROM intake_sessions theirs JOIN connections c ON c.id = theirs.connection_id
        WHERE c.patient_id = (SELECT id FROM patient))),
let_in AS (
    INSERT INTO rate_windows AS r (key, ends_at, used)
    SELECT 'model:' || id, clock_timestamp() + interval '1 minute', 1 FROM patient
    WHERE NOT EXISTS (SELECT FROM model_breakers WHERE provider = $1 AND shut_until > clock_timestamp()){ONE_MORE}
    RETURNING used),
asker AS (
    SELECT (SELECT count(*) FROM mine WHERE called_at > clock_timestamp() - interval '1 minute') >= $6
           OR (SELECT lately FROM of_patient) >= $6
           OR coalesce((SELECT used FROM let_in), 0) > $6
           OR ($7::bigint IS NOT NULL AND (SELECT coalesce(sum(cost_microusd), 0) FROM mine) >= $7)
           OR ($8::bigint IS NOT NULL
               AND coalesce((SELECT cost_microusd FROM model_spend WHERE day = current_date), 0) >= $8)
           OR ($9::bigint IS NOT NULL AND (SELECT spent FROM of_patient) >= $9)
               AS is_over_budget,
           (SELECT count(*) FILTER (WHERE outcome <> 'answered') >= $5
                   AND max(called_at) > clock_timestamp() - $4::interval FROM latest) AS is_resting),
probe AS (
    UPDATE model_breakers SET shut_until = clock_timestamp() + $3::interval
    WHERE provider = $1 AND shut_until <= clock_timestamp()
      AND (SELECT NOT is_over_budget AND NOT is_resting FROM asker)
    RETURNING provider)
SELECT is_over_budget, is_resting, EXISTS (SELECT FROM probe) AS is_probe,
       EXISTS (SELECT FROM model_breakers WHERE provider = $1 AND shut_until IS NOT NULL) AS is_shut
FROM asker"""  # noqa: S608 - a text of our own

_NOTE: Final = """
INSERT INTO model_calls (provider, model, prompt_version, session_id, attempt, outcome, detail, guard, facts_kept,
                         facts_dropped, input_tokens, output_tokens, cost_microusd, latency_ms, photos)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)"""

_SPEND: Final = """
INSERT INTO model_spend AS spent (day, cost_microusd) VALUES (current_date, $1)
ON CONFLICT (day) DO UPDATE SET cost_microusd = spent.cost_microusd + excluded.cost_microusd"""

_NOTE_GOOD: Final = f"""
WITH noted AS ({_NOTE})
UPDATE model_breakers SET failures = 0, shut_until = NULL, updated_at = clock_timestamp()
WHERE provider = $1 AND (failures > 0 OR shut_until IS NOT NULL)"""  # noqa: S608 - two texts of our own

# A provider that asks for a pause gets it at once; another is shut after so many failures without a success between.
_NOTE_BAD: Final = f"""
WITH noted AS ({_NOTE})
INSERT INTO model_breakers AS known (provider, failures, shut_until)
VALUES ($1, 1, clock_timestamp() + $16::interval)
ON CONFLICT (provider) DO UPDATE SET
    failures = known.failures + 1,
    shut_until = CASE WHEN $16::interval IS NOT NULL
                      THEN greatest(known.shut_until, clock_timestamp() + $16::interval)
                      WHEN known.failures + 1 >= $17
                      THEN greatest(known.shut_until, clock_timestamp() + $18::interval)
                      ELSE known.shut_until END,
    updated_at = clock_timestamp()"""  # noqa: S608 - same

_SHUT: Final = "SELECT provider FROM model_breakers WHERE shut_until IS NOT NULL ORDER BY provider"

# The same of all sessions: only one that failed within the rest can be resting.
_RESTING: Final = """
SELECT failed.session_id, extract(epoch FROM latest.called_at + $1::interval - clock_timestamp()) AS left_s
FROM (SELECT DISTINCT session_id FROM model_calls
      WHERE called_at > clock_timestamp() - $1::interval AND outcome NOT IN ('answered', 'stopped')
        AND session_id IS NOT NULL) AS failed
CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE outcome <> 'answered') AS failures, max(called_at) AS called_at
    FROM (SELECT called_at, outcome FROM model_calls
          WHERE session_id = failed.session_id AND outcome <> 'stopped'
            AND called_at > clock_timestamp() - interval '1 day'
          ORDER BY called_at DESC LIMIT $2) AS calls) AS latest
WHERE latest.failures >= $2 AND latest.called_at > clock_timestamp() - $1::interval
ORDER BY left_s DESC, failed.session_id"""

_LATELY: Final = """
SELECT count(*) AS calls, count(*) FILTER (WHERE outcome <> 'answered') AS failed,
       (SELECT string_agg(provider, ', ' ORDER BY provider) FROM model_breakers WHERE shut_until IS NOT NULL) AS shut,
       coalesce((SELECT cost_microusd FROM model_spend WHERE day = current_date), 0) AS spent_today
FROM model_calls WHERE called_at > clock_timestamp() - interval '1 hour'"""


@dataclass(frozen=True, slots=True)
class PostgresCallBook:
    """A CallBook for all processes on one database."""

    database: Database
    per_minute: int = 20
    failures: int = 3
    pause_s: float = 15.0
    rest_s: float = 600.0
    daily_usd: float | None = None
    session_usd: float | None = None
    patient_usd: float | None = None

    async def admit(self, provider: str, session_id: UUID | None) -> Admission:
        """Whether to ask now. Raises Unavailable."""
        pause, rest = timedelta(seconds=self.pause_s), timedelta(seconds=self.rest_s)
        caps = (_microusd(each) for each in (self.session_usd, self.daily_usd, self.patient_usd))
        # A cap counts all of a patient's interviews, also those that whoever asks may not read; it answers no figure.
        with viewing(at_work(Purpose.JOBS)):
            row = await self.database.fetchrow(
                _ADMIT, provider, session_id, pause, rest, self.failures, self.per_minute, *caps
            )
        assert row is not None
        if row["is_over_budget"]:
            return Admission.OVER_BUDGET
        if row["is_probe"]:
            return Admission.PROBE
        return Admission.SHUT if row["is_shut"] or row["is_resting"] else Admission.OPEN

    async def record(self, call: ModelCall) -> None:
        """Write the call down. Raises Unavailable."""
        noted = (
            call.provider, call.model, call.prompt_version, call.session_id, call.attempt, call.outcome, call.detail,
            call.guard, call.facts_kept, call.facts_dropped, call.input_tokens, call.output_tokens,
            call.cost_microusd, call.latency_ms, call.photos,
        )  # fmt: skip
        match call.sign:
            case Sign.GOOD:
                await self.database.execute(_NOTE_GOOD, *noted)
            case Sign.NEITHER:
                await self.database.execute(_NOTE, *noted)
            case Sign.BAD:
                shut_for = None if call.shut_for_s is None else timedelta(seconds=call.shut_for_s)
                pause = timedelta(seconds=self.pause_s)
                await self.database.execute(_NOTE_BAD, *noted, shut_for, self.failures, pause)
        if call.cost_microusd:
            await self.database.execute(_SPEND, call.cost_microusd)

    async def lately(self) -> list[tuple[str, str]]:
        """What an operator wants to know of models, as words and figures. Raises Unavailable."""
        row = await self.database.fetchrow(_LATELY)
        assert row is not None
        return [
            ("Models not asked now", row["shut"] or "none"),
            ("Calls to models, last hour", f"{row['calls']}, {row['failed']} failed"),
            ("Interviews resting from models", str(len(await self.resting()))),
            ("Spent on models today", f"${row['spent_today'] / 1_000_000:.2f}"),
        ]

    async def resting(self) -> list[tuple[UUID, float]]:
        """The sessions no model is asked for, and for how many seconds more. Raises Unavailable."""
        rows = await self.database.fetch(_RESTING, timedelta(seconds=self.rest_s), self.failures)
        return [(row["session_id"], float(row["left_s"])) for row in rows]

    async def shut(self) -> frozenset[str]:
        """The providers that are not asked now, or only by one caller at a time. Raises Unavailable."""
        return frozenset(row["provider"] for row in await self.database.fetch(_SHUT))


def _microusd(cap_usd: float | None) -> int | None:
    return None if cap_usd is None else round(cap_usd * 1_000_000)
