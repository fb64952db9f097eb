"""Settings in, a running system out: the only place that knows every name."""

import asyncio
import json
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit
from uuid import UUID

from prometheus_client import CollectorRegistry
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from anamnesis.administration.api import Administration
from anamnesis.administration.api import procedures as administration_procedures
from anamnesis.administration.store import PostgresAdministrationStore
from anamnesis.blobs.disk import DiskBlobs
from anamnesis.care.actions import Door
from anamnesis.care.api import Care
from anamnesis.care.api import procedures as care_procedures
from anamnesis.care.store import PostgresCareStore
from anamnesis.clinical.record import Stage
from anamnesis.content import ClinicalContent, load_content
from anamnesis.db import outbox
from anamnesis.db.bus import Bus
from anamnesis.db.chain import unsealed
from anamnesis.db.encryption import keyring_of
from anamnesis.db.model_calls import PostgresCallBook
from anamnesis.db.postgres import Database, PoolSettings, Profile
from anamnesis.db.purging import purge_finished_jobs
from anamnesis.db.sealing import Sealer
from anamnesis.db.viewing import Purpose, at_work, viewing
from anamnesis.edge.asgi import LastResort, Switch
from anamnesis.edge.auth import RequestOf, request_of
from anamnesis.edge.client_address import TrustedProxies
from anamnesis.edge.draining import Drain
from anamnesis.edge.faults import fault_of
from anamnesis.edge.files import PREFIX as FILES
from anamnesis.edge.files import FileEndpoint
from anamnesis.edge.headers import GoodManners, request_id_of
from anamnesis.edge.health import Condition, Health, Probe, database_probes
from anamnesis.edge.keys import JwksKeys, KeySource, PemKeys
from anamnesis.edge.measuring import Measures, Measuring, metrics_endpoint, observed_by, procedure_meter, shows
from anamnesis.edge.origin import OriginGuard
from anamnesis.edge.pages import Site, pages_app
from anamnesis.edge.rest import RestApp, RestOptions
from anamnesis.edge.running import Observe
from anamnesis.edge.tokens import Expected, Verifier
from anamnesis.edge.trpc import TrpcApp, TrpcOptions
from anamnesis.edge.unported import add_unported
from anamnesis.edge.webhooks import ClerkWebhook
from anamnesis.files.actions import Filing, Glimpses
from anamnesis.files.api import OPEN_FILE
from anamnesis.files.api import procedures as file_procedures
from anamnesis.files.links import Links, key_from
from anamnesis.files.model import Caps
from anamnesis.files.ports import Blobs
from anamnesis.files.store import PostgresFileStore
from anamnesis.handover.additions import procedures as addition_procedures
from anamnesis.handover.api import Handover, alert_clinician, announce_handover
from anamnesis.handover.api import procedures as handover_procedures
from anamnesis.handover.decisions import procedures as decision_procedures
from anamnesis.handover.emergencies import procedures as emergency_procedures
from anamnesis.handover.printing import procedures as document_procedures
from anamnesis.handover.store import PostgresHandoverStore
from anamnesis.intake import actions as intake_actions
from anamnesis.intake.actions import Interviewer
from anamnesis.intake.api import Intake
from anamnesis.intake.api import procedures as intake_procedures
from anamnesis.intake.ports import Photos
from anamnesis.intake.sessions import procedures as session_procedures
from anamnesis.intake.store import PostgresIntakeStore
from anamnesis.journal import procedure_logger
from anamnesis.kernel.calls import ModelCall
from anamnesis.kernel.clock import SystemClock
from anamnesis.kernel.consents import in_force
from anamnesis.kernel.errors import Unavailable
from anamnesis.kernel.jobs import Job, JobKind
from anamnesis.kernel.procedures import Allow, Bound, Registry, Request
from anamnesis.kernel.trail import following, job_trail
from anamnesis.llm.port import ChatModel, Prompt, Vendor
from anamnesis.llm.scripted import ScriptedModel
from anamnesis.messaging.actions import remind
from anamnesis.messaging.api import Messaging
from anamnesis.messaging.api import procedures as messaging_procedures
from anamnesis.messaging.model import Heard
from anamnesis.messaging.store import PostgresMessageStore
from anamnesis.notifications.api import Notifications
from anamnesis.notifications.api import procedures as notification_procedures
from anamnesis.notifications.store import PostgresNotificationStore
from anamnesis.pictures.redrawing import Redrawer
from anamnesis.rights.actions import Rights
from anamnesis.rights.api import procedures as rights_procedures
from anamnesis.rights.store import PostgresRightsStore
from anamnesis.settings import Ai, Limits, Provider, Secret, Settings
from anamnesis.settings.reading import is_not_public
from anamnesis.webhooks.actions import Hooks
from anamnesis.webhooks.model import EventKind, Target
from anamnesis.webhooks.sending import SignedSender
from anamnesis.webhooks.store import PostgresHookStore
from anamnesis.workers.loop import Run, Worker
from anamnesis.workers.upkeep import keep_tidy, tidy

if TYPE_CHECKING:
    from anamnesis.intake.prompting import Briefing
    from anamnesis.llm.relay import Price, Relay

_NAMES: Final = tuple(
    procedure.name
    for procedures in (
        care_procedures,
        messaging_procedures,
        intake_procedures,
        session_procedures,
        file_procedures,
        [OPEN_FILE],
        handover_procedures,
        addition_procedures,
        emergency_procedures,
        notification_procedures,
        administration_procedures,
        rights_procedures,
    )
    for procedure in procedures
)

#: What a job about a note may take beside the time of its model, in seconds.
_BESIDE_A_MODEL_S: Final = 20.0
#: Lines in a list on the operator's page.
_MOST_SHOWN: Final = 50
#: The longest side of a photo that a model is shown, in pixels, the same where that has too many bytes, and the seconds
#: one may take to draw.
_GLIMPSE_SIDE: Final = 1024
_SMALL_GLIMPSE_SIDE: Final = 640
_GLIMPSE_S: Final = 4.0
#: A note that is being tidied when the service stops is given back: whoever takes it asks anew. So is a delivery.
_FAREWELL_S: Final = 0.5
#: Deliveries wait for others, and cost nothing meanwhile.
_TOLD_AT_ONCE: Final = 16
#: With pauses that double up to two hours this is about a day: a receiver may be away for a night.
_TELLINGS: Final = 24
_LONGEST_SILENCE_S: Final = 7200.0


@dataclass(slots=True)
class App:
    """A running system: its parts, and its face as an ASGI application."""

    settings: Settings
    database: Database
    bus: Bus
    content: ClinicalContent
    registry: Registry
    door: Door
    keys: KeySource | None
    request_of: RequestOf
    worker: Worker
    writer: Worker | None
    teller: Worker | None
    book: PostgresCallBook
    care_store: PostgresCareStore
    intake_store: PostgresIntakeStore
    filing: Filing
    photos: Photos | None
    rights: Rights
    hooks: Hooks
    message_store: PostgresMessageStore
    observe: Observe
    health: Health
    webhook: ASGIApp
    measures: Measures
    collectors: CollectorRegistry
    drain: Drain
    extra_roads: Sequence[tuple[str, ASGIApp]] = ()
    relay: "Relay | None" = None
    _tasks: list["asyncio.Task[None]"] = field(default_factory=list)

    def asgi(self) -> ASGIApp:
        """Every protocol behind one set of manners."""
        limits = self.settings.limits
        options = TrpcOptions(max_batch=limits.batch_calls, max_body_bytes=limits.body_bytes)
        trpc = TrpcApp(
            self.registry, guard=self.door, request_of=self.request_of, options=options, observe=self.observe
        )
        pages = pages_app(self.site())
        health = Starlette(routes=self.health.routes())
        rest = RestApp(
            self.registry,
            guard=self.door,
            request_of=self.request_of,
            options=RestOptions(limits.body_bytes, self.filing.caps.request_bytes),
            observe=self.observe,
        ).app
        roads: list[tuple[str, ASGIApp]] = [
            ("/api/trpc", trpc),
            ("/api/v1", rest),
            ("/api/auth/webhook", self.webhook),
            ("/openapi.json", rest),
            ("/docs", rest),
            ("/api/health", health),
            ("/livez", health),
            ("/readyz", health),
            ("/metrics", self._metrics),
            (
                FILES,
                FileEndpoint(
                    Bound(OPEN_FILE, self.filing, self.database.keep_line), self.door, self.request_of, self.observe
                ),
            ),
            *self.extra_roads,
        ]
        inner: ASGIApp = Switch(roads, pages)
        allowed = [self.settings.public_origin]
        guarded = OriginGuard(inner, allowed=allowed, allow_own_loopback=not self.settings.is_production)
        proxies = TrustedProxies(self.settings.trusted_proxies)
        is_always_https = self.settings.public_origin.startswith("https://")
        return GoodManners(
            Measuring(LastResort(guarded), self.measures),
            is_https=lambda scope: is_always_https or proxies.is_https(scope),
        )

    async def _metrics(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The instruments, with what waits as it is now; without a database what was last known stands.

        Where a token is set it is asked for before anything else.
        """
        token = self.settings.metrics_token
        if token is not None and not shows(scope, token.reveal()):
            refused = PlainTextResponse("A bearer token is needed.", 401, {"www-authenticate": "Bearer"})
            await refused(scope, receive, send)
            return
        with suppress(Unavailable):
            depth = await outbox.depth(self.database)
            self.measures.queue(
                queued=depth.queued, running=depth.running, dead=depth.dead, oldest_s=float(depth.oldest_s)
            )
            waiting = await unsealed(self.database)
            self.measures.unsealed(lines=waiting.lines, oldest_s=waiting.oldest_s)
            self.measures.resting(len(await self._resting()))
        await metrics_endpoint(self.collectors)(scope, receive, send)

    def site(self) -> Site:
        """What the pages need."""
        return Site(
            registry=self.registry,
            guard=self.door,
            request_of=self.request_of,
            observe=self.observe,
            origin=self.settings.public_origin,
            emergency_numbers=("999", "112"),
            readiness=self.health.report,
            queue=self._queue,
            stuck_turns=self._stuck,
            resting_sessions=self._resting_shown,
            max_form_bytes=self.filing.caps.request_bytes,
            models=() if self.relay is None else _models(self.settings.ai),
            is_model_inside=self.settings.ai.is_outside_forbidden,
            asks_consent=self.relay is not None and not self.settings.consent_recorded_elsewhere,
            shows_photos=self.settings.shows_photos,
        )

    async def _queue(self) -> list[tuple[str, str]]:
        depth, waiting = await outbox.depth(self.database), await unsealed(self.database)
        return [
            ("Waiting", str(depth.queued)),
            ("Running", str(depth.running)),
            ("Given up", str(depth.dead)),
            ("Oldest, seconds", f"{depth.oldest_s:.0f}"),
            ("Audit lines not sealed, oldest in seconds", f"{waiting.lines}, {waiting.oldest_s:.0f}"),
            ("Connections in use", f"{self.database.in_use} of {self.database.size}"),
            *([] if self.relay is None else await self.book.lately()),
        ]

    async def _resting(self) -> list[tuple[UUID, float]]:
        return [] if self.relay is None else await self.book.resting()

    async def _resting_shown(self) -> list[Mapping[str, Any]]:
        resting = (await self._resting())[:_MOST_SHOWN]
        return [{"session_id": session_id, "left": f"{left_s / 60:.0f} min"} for session_id, left_s in resting]

    async def _stuck(self) -> list[Mapping[str, Any]]:
        with viewing(at_work(Purpose.OPERATIONS)):
            rows = await self.intake_store.stuck()
        return [{**row, "waiting": f"{row['waiting_s']:.0f} s"} for row in rows]

    async def forget_spent(self) -> None:
        """Remind of what waits; drop what is too old to be counted, sent again or looked at.

        Each part is bounded, and none waits for another's or fails with it; what fails is in the log.
        """
        await tidy(self._upkeep())

    def _upkeep(self) -> Mapping[str, Callable[[], Awaitable[object]]]:
        return {
            "reminders": self._remind,
            "limits": self.care_store.forget_spent,
            "account_events": self.care_store.forget_events,
            "jobs": partial(purge_finished_jobs, self.database),
            "files": self.filing.sweep,
            "retention": self.rights.sweep,
            "webhooks": self.hooks.store.forget_old,
        }

    async def _remind(self) -> None:
        with viewing(at_work(Purpose.JOBS)):
            await remind(store=self.message_store)

    @asynccontextmanager
    async def running(self, *, works: bool = True) -> AsyncIterator[None]:
        """Keep the background parts going: live wake-ups, the worker, the keys; stop them in order."""
        self.bus.start()
        if self.keys is not None:
            self._tasks.append(asyncio.create_task(self.keys.warm(), name="keys"))
        workers = [each for each in (self.worker, self.writer, self.teller) if works and each is not None]
        working = [asyncio.create_task(each.run(), name="worker") for each in workers]
        self._tasks.append(asyncio.create_task(keep_tidy(self._upkeep(), every_s=60), name="upkeep"))
        self._tasks.append(asyncio.create_task(Sealer(self.database).run(), name="sealing"))
        try:
            yield
        finally:
            for worker in workers:
                worker.stop()
            await asyncio.gather(*working)
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            if self.relay is not None:
                await self.relay.aclose()
            await self.bus.close()
            await self.database.close()


def build(
    settings: Settings,
    *,
    app_dsn: str,
    direct_dsn: str,
    keys: KeySource | None = None,
    issuer: str | None = None,
    superusers: Sequence[str] = (),
    model: ChatModel | None = None,
    extra_roads: Sequence[tuple[str, ASGIApp]] = (),
) -> App:
    """Build every part from settings. keys and issuer stand in for Clerk's in the demo and in tests."""
    profile = Profile(settings.database.profile)
    pool = PoolSettings(profile=profile, max_size=settings.database.pool_size)
    database = Database(app_dsn, pool, keyring=keyring_of(settings.encryption_keys))
    bus = Bus(direct_dsn, listens=profile is Profile.SERVER)
    content, clock = load_content(), SystemClock()
    words = in_force(_readers(settings.ai))
    care_store, intake_store = PostgresCareStore(database, words), PostgresIntakeStore(database, words)
    handover_store, origin = PostgresHandoverStore(database), settings.public_origin
    collectors = CollectorRegistry()
    measures = Measures(collectors, procedures=_NAMES)
    measures.watch_pool(in_use=lambda: database.in_use, size=lambda: database.size)
    book = PostgresCallBook(
        database,
        per_minute=settings.limits.per_minute(settings.limits.model_calls),
        daily_usd=settings.ai.daily_usd,
        session_usd=settings.ai.session_usd,
        patient_usd=settings.ai.patient_usd,
    )
    relay = None if model is not None else _relay(settings, book, measures)
    chosen = model or relay
    filing = _filing(settings, database, clock)
    interviewer = Interviewer(
        content,
        chosen or ScriptedModel(),
        settings.ai.timeout_s,
        is_builtin=chosen is None,
        briefing=None if relay is None else _briefing(needs_consent=not settings.consent_recorded_elsewhere),
        observer=measures,
        listener=bus if settings.ai.is_streaming else None,
        photos=_glimpses(filing) if relay is not None and settings.shows_photos else None,
    )

    def hear(text: str) -> Heard:
        screened = intake_actions.listen(text, interviewer)
        return Heard(screened.record.acuity, screened.is_danger, screened.emergency_text)

    registry = Registry(database.keep_line, care_store.changed)
    registry.add(care_procedures, Care(care_store, clock, origin))
    message_store = PostgresMessageStore(database, tells_others=bool(settings.webhooks.targets))
    registry.add(
        messaging_procedures,
        Messaging(message_store, bus, hear),
    )
    registry.add(file_procedures, filing)
    intake = Intake(intake_store, care_store, interviewer, bus, filing)
    registry.add(intake_procedures, intake)
    registry.add(session_procedures, intake)
    handover = Handover(handover_store, care_store, filing)
    registry.add(handover_procedures, handover)
    registry.add(addition_procedures, handover)
    registry.add(decision_procedures, handover)
    registry.add(document_procedures, handover)
    registry.add(emergency_procedures, handover)
    registry.add(notification_procedures, Notifications(PostgresNotificationStore(database), care_store, bus))
    registry.add(administration_procedures, Administration(PostgresAdministrationStore(database)))
    rights = Rights(PostgresRightsStore(database), care_store, filing.blobs, settings.retention_days)
    registry.add(rights_procedures, rights)
    add_unported(registry)
    keys, secret = keys or _keys(settings), settings.identity.webhook_secret
    expected = Expected(issuer or settings.identity.issuer or origin, frozenset({origin}))
    proxies = TrustedProxies(settings.trusted_proxies)

    async def turn(job: Job) -> None:
        await intake_actions.take_turn(job, store=intake_store, interviewer=interviewer)

    hooks = _hooks(settings, PostgresHookStore(database))
    handlers = {JobKind.TAKE_TURN: turn, **_telling(handover_store, hooks)}
    if relay is None:
        handlers[JobKind.WORD_NOTE] = _leave_note
    worker = Worker(database, {kind: _at_work(run) for kind, run in handlers.items()}, bus=bus, observe=measures.job)
    drain = Drain()
    others = _other_probes(worker, keys, book, settings.ai.outside)
    return App(
        settings=settings,
        database=database,
        bus=bus,
        content=content,
        registry=registry,
        door=Door(
            care_store,
            frozenset({*settings.identity.superuser_ids, *superusers}),
            _rates(settings.limits),
            settings.limits.per_minute(settings.limits.uploads),
        ),
        care_store=care_store,
        keys=keys,
        request_of=_nobody if keys is None else request_of(Verifier(keys, expected), proxies=proxies),
        worker=worker,
        writer=None if relay is None else _writer(settings, relay, measures, intake_store, handover_store),
        teller=_teller(database, hooks, measures, bus),
        book=book,
        intake_store=intake_store,
        filing=filing,
        photos=interviewer.photos,
        rights=rights,
        hooks=hooks,
        message_store=message_store,
        observe=observed_by(procedure_logger(fault_of), procedure_meter(measures)),
        health=Health(
            {**database_probes(database), **others},
            lambda: drain.has_begun,
        ),
        drain=drain,
        webhook=ClerkWebhook(
            secret.reveal() if secret else None, care_store.settle_account, max_body_bytes=settings.limits.body_bytes
        ),
        measures=measures,
        collectors=collectors,
        extra_roads=extra_roads,
        relay=relay,
    )


def _writer(
    settings: Settings, relay: "Relay", measures: Measures, intake: PostgresIntakeStore, handover: PostgresHandoverStore
) -> Worker:
    """Has notes tidied: a worker of its own, so that no alert and no turn waits behind a slow model."""
    from anamnesis.content.prompts import load_writer  # noqa: PLC0415 - as for vendors
    from anamnesis.handover.actions import NoteWriter, word_note  # noqa: PLC0415 - same

    may_leave = None if settings.consent_recorded_elsewhere else intake.may_leave
    by = NoteWriter(relay, load_writer(), measures, may_leave, settings.ai.timeout_s)

    async def word(job: Job) -> None:
        await word_note(job.subject, store=handover, by=by)

    return Worker(
        handover.database,
        {JobKind.WORD_NOTE: _at_work(word)},
        concurrency=2,
        longest_s=settings.ai.timeout_s + _BESIDE_A_MODEL_S,
        drain_s=_FAREWELL_S,
        observe=measures.job,
    )


async def _leave_note(_: Job) -> None:
    """No model is set any more, so the note stays as code wrote it."""


def _at_work(run: Run) -> Run:
    """A job speaks for nobody but the service; what it reads and writes is in the audit trail as such."""

    async def working(job: Job) -> None:
        about = "webhook_event" if job.kind is JobKind.DELIVER_WEBHOOK else "intake_session"
        trail = job_trail(job.kind.value, job.subject, job.request_id, about=about)
        with viewing(at_work(Purpose.JOBS)), following(trail):
            await run(job)

    return working


def _filing(settings: Settings, database: Database, clock: SystemClock) -> Filing:
    files, clerk = settings.files, settings.identity.secret_key
    secret = files.secret or clerk
    # Production always has a secret; elsewhere one process serves, and its links need not outlive it.
    key = secrets.token_bytes(32) if secret is None else key_from(secret.reveal())
    return Filing(
        PostgresFileStore(database),
        blobs_of(settings),
        Redrawer(most_pixels=files.image_megapixels * 1_000_000),
        Links(key, settings.public_origin),
        Caps(image_bytes=files.image_mb << 20, pdf_bytes=files.pdf_mb << 20),
        clock,
    )


def _glimpses(filing: Filing) -> Glimpses:
    """Photos as a model sees them, drawn beside those that are being uploaded and never before them."""
    redraws = Redrawer(longest_side=_GLIMPSE_SIDE, small_side=_SMALL_GLIMPSE_SIDE, within_s=_GLIMPSE_S)
    return Glimpses(filing.store, filing.blobs, redraws, filing.links)


def _telling(store: PostgresHandoverStore, hooks: Hooks) -> dict[JobKind, Run]:
    """The jobs that tell somebody: the doctor of a case first, then the operator's other systems."""

    async def announce(job: Job) -> None:
        await announce_handover(job.subject, store=store)
        await hooks.leave(job, EventKind.INTAKE_READY)

    async def alert(job: Job) -> None:
        await alert_clinician(job.subject, store=store)
        await hooks.leave(job, EventKind.INTAKE_EMERGENCY)

    handlers: dict[JobKind, Run] = {JobKind.ANNOUNCE_HANDOVER: announce, JobKind.ALERT_CLINICIAN: alert}
    if not hooks.targets:
        handlers[JobKind.DELIVER_WEBHOOK] = hooks.deliver  # left from when there were some: it ends at once
    return handlers


def _teller(database: Database, hooks: Hooks, measures: Measures, bus: Bus) -> Worker | None:
    """Delivers events: a worker of its own, so that no alert and no turn waits behind a slow receiver."""
    if not hooks.targets:
        return None
    return Worker(
        database,
        {JobKind.DELIVER_WEBHOOK: _at_work(hooks.deliver)},
        bus=bus,
        concurrency=_TOLD_AT_ONCE,
        max_attempts=_TELLINGS,
        longest_pause_s=_LONGEST_SILENCE_S,
        drain_s=_FAREWELL_S,
        observe=measures.job,
    )


def _hooks(settings: Settings, store: PostgresHookStore) -> Hooks:
    told = settings.webhooks
    if told.secret is None:
        return Hooks(store, SignedSender(""))
    # In development a receiver may be on this machine, when the operator has written its address out.
    targets = [
        Target(url, may_be_private=not settings.is_production and is_not_public(urlsplit(url).hostname or ""))
        for url in told.targets
    ]
    earlier = tuple(secret.reveal() for secret in told.earlier)
    sender = SignedSender(told.secret.reveal(), earlier, is_https_only=settings.is_production)
    return Hooks(store, sender, targets)


def blobs_of(settings: Settings) -> Blobs:
    """Where the bytes of files are."""
    bucket = settings.files.bucket
    if bucket is None:
        return DiskBlobs(Path(settings.files.folder).absolute())
    from anamnesis.blobs.s3 import S3Blobs  # noqa: PLC0415 - fifteen megabytes, for who has a bucket

    return S3Blobs(bucket.url, bucket.name, bucket.region, bucket.key_id, bucket.secret_key.reveal())


def _rates(limits: Limits) -> dict[Allow, int]:
    """How often a procedure may be called, by whom it is for."""
    protected = limits.per_minute(limits.protected)
    return {
        Allow.PUBLIC: limits.per_minute(limits.public),
        Allow.PROTECTED: protected,
        Allow.PATIENT: protected,
        Allow.DOCTOR: protected,
        Allow.ADMIN: limits.per_minute(limits.admin),
    }


def vendor_of(provider: Provider, ai: Ai) -> Vendor:
    """The adapter to a vendor's model. Its SDK is imported here and nowhere else, so who names none pays for none."""
    if provider is Provider.GEMINI:
        from anamnesis.llm.gemini import Gemini  # noqa: PLC0415 - a second and thirty megabytes

        return Gemini(
            _revealed(ai.gemini_key),
            model=ai.model_of(provider),
            base_url=ai.gemini_base_url,
            is_outside_forbidden=ai.is_outside_forbidden,
        )
    from anamnesis.llm.openai import OpenAi  # noqa: PLC0415 - same

    return OpenAi(
        _revealed(ai.openai_key),
        model=ai.model_of(provider),
        base_url=ai.openai_base_url,
        is_outside_forbidden=ai.is_outside_forbidden,
    )


def _readers(ai: Ai) -> tuple[str, ...]:
    """Who would read along, as exactly as an operator can change it: company, address, country, and whose machines."""
    where = "inside" if ai.is_outside_forbidden else "outside"
    return tuple(
        f"{where} {provider.value} {ai.base_url_of(provider) or ''} {ai.country_of(provider) or ''}"
        for provider in ai.outside
    )


def _models(ai: Ai) -> tuple[tuple[str, str | None], ...]:
    """Each provider that words questions, with the country it works in where the operator marked it."""
    return tuple((provider.value, ai.country_of(provider)) for provider in ai.outside)


def _recorded(vendor: Vendor, ai: Ai) -> Vendor:
    """The vendor's model with its exchanges kept in files, where a developer asked for that."""
    if ai.record_folder is None:
        return vendor
    from anamnesis.llm.recording import Recorder  # noqa: PLC0415 - as for vendors

    keys = tuple(key.reveal() for key in (ai.gemini_key, ai.openai_key) if key is not None)
    return Recorder(vendor, Path(ai.record_folder), keys)


def _revealed(key: Secret | None) -> str:
    assert key is not None, "settings demand the key of each provider named"
    return key.reveal()


def priced(name: str, ai: Ai) -> "Price | None":
    """What the operator says a model costs; nothing is guessed."""
    from anamnesis.llm.relay import Price  # noqa: PLC0415 - as for vendors: who names none pays for none

    return next((Price(given, back) for model, given, back in ai.prices if model == name), None)


def _relay(settings: Settings, book: PostgresCallBook, measures: Measures) -> "Relay | None":
    """The vendors' models in order, or None when the built-in interviewer comes first."""
    ai = settings.ai
    if not ai.outside:
        return None
    from anamnesis.llm.relay import Provider as ModelProvider  # noqa: PLC0415 - as for vendors
    from anamnesis.llm.relay import Relay  # noqa: PLC0415 - same

    vendors = [(provider, _recorded(vendor_of(provider, ai), ai)) for provider in ai.outside]
    providers = [
        ModelProvider(provider.value, vendor, vendor.model, priced(vendor.model, ai)) for provider, vendor in vendors
    ]
    return Relay(providers, book, measures)


async def ask_once(provider: Provider, ai: Ai) -> ModelCall:
    """One call with a question of our own and nothing of a patient. Raises ModelFailed."""
    from anamnesis.llm.drafts import read_draft  # noqa: PLC0415 - as for vendors
    from anamnesis.llm.relay import cost_microusd  # noqa: PLC0415 - same

    vendor = vendor_of(provider, ai)
    question = "How old are you?"
    prompt = Prompt(
        "who",
        question,
        Stage.VITALS.value,
        "en",
        question=question,
        instructions=_briefing().agents[Stage.VITALS].text.replace("{language}", "English"),
        case=json.dumps({"question": question, "record": {}, "may_propose": [], "conversation": []}),
    )
    started = time.monotonic()
    try:
        said = await vendor.complete(prompt, deadline_s=ai.timeout_s)
        read_draft(prompt, said)
    finally:
        await vendor.aclose()
    return ModelCall(
        provider.value,
        said.model or vendor.model,
        "check",
        None,
        1,
        "answered",
        input_tokens=said.usage.input_tokens,
        output_tokens=said.usage.output_tokens,
        cost_microusd=cost_microusd(priced(vendor.model, ai), said.usage),
        latency_ms=round((time.monotonic() - started) * 1000),
    )


def _briefing(*, needs_consent: bool = True) -> "Briefing":
    from anamnesis.content.prompts import load_agents  # noqa: PLC0415 - as for vendors
    from anamnesis.intake.prompting import Briefing  # noqa: PLC0415 - same

    return Briefing(load_agents(), needs_consent=needs_consent)


def _other_probes(
    worker: Worker, keys: KeySource | None, book: PostgresCallBook, outside: Sequence[Provider]
) -> dict[str, Probe]:
    """The parts beside the database. The built-in interviewer is always there."""

    async def working() -> Condition:
        return Condition.OK if worker.is_alive() else Condition.DEGRADED

    async def authenticating() -> Condition:
        return Condition.DOWN if keys is None else Condition(keys.state.value)

    async def wording() -> Condition:
        # Shut, or open by a hair for one caller: patients meet the next provider, or the built-in interviewer.
        is_shut = bool(outside) and outside[0].value in await book.shut()
        return Condition.DEGRADED if is_shut else Condition.OK

    return {"worker": working, "auth": authenticating, "ai": wording}


def _keys(settings: Settings) -> KeySource | None:
    identity = settings.identity
    if identity.jwt_key:
        return PemKeys(identity.jwt_key)
    return JwksKeys(identity.jwks_url) if identity.jwks_url else None


async def _nobody(scope: Any) -> Request:
    """Without any key nobody can sign in: every caller is a visitor."""
    return Request(request_id_of(scope))
