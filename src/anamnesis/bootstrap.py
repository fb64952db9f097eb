"""Settings in, a running system out: the only place that knows every name."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Final

from prometheus_client import CollectorRegistry
from starlette.applications import Starlette
from starlette.types import ASGIApp, Receive, Scope, Send

from anamnesis.administration.api import Administration
from anamnesis.administration.api import procedures as administration_procedures
from anamnesis.administration.store import PostgresAdministrationStore
from anamnesis.care.actions import Door
from anamnesis.care.api import Care
from anamnesis.care.api import procedures as care_procedures
from anamnesis.care.store import PostgresCareStore
from anamnesis.content import ClinicalContent, load_content
from anamnesis.db import outbox
from anamnesis.db.bus import Bus
from anamnesis.db.postgres import Database, PoolSettings, Profile
from anamnesis.db.purging import purge_finished_jobs
from anamnesis.edge.asgi import LastResort, Switch
from anamnesis.edge.auth import RequestOf, request_of
from anamnesis.edge.client_address import TrustedProxies
from anamnesis.edge.draining import Drain
from anamnesis.edge.faults import fault_of
from anamnesis.edge.headers import GoodManners, request_id_of
from anamnesis.edge.health import Condition, Health, Probe, database_probes
from anamnesis.edge.keys import JwksKeys, KeySource, PemKeys
from anamnesis.edge.measuring import Measures, Measuring, metrics_endpoint, observed_by, procedure_meter
from anamnesis.edge.origin import OriginGuard
from anamnesis.edge.pages import Site, pages_app
from anamnesis.edge.rest import RestApp, RestOptions
from anamnesis.edge.running import Observe
from anamnesis.edge.tokens import Expected, Verifier
from anamnesis.edge.trpc import TrpcApp, TrpcOptions
from anamnesis.edge.unported import add_unported
from anamnesis.edge.webhooks import ClerkWebhook
from anamnesis.handover.additions import procedures as addition_procedures
from anamnesis.handover.api import Handover, alert_clinician, announce_handover
from anamnesis.handover.api import procedures as handover_procedures
from anamnesis.handover.store import PostgresHandoverStore
from anamnesis.intake import actions as intake_actions
from anamnesis.intake.actions import Interviewer
from anamnesis.intake.api import Intake
from anamnesis.intake.api import procedures as intake_procedures
from anamnesis.intake.sessions import procedures as session_procedures
from anamnesis.intake.store import PostgresIntakeStore
from anamnesis.journal import procedure_logger
from anamnesis.kernel.clock import SystemClock
from anamnesis.kernel.errors import Unavailable
from anamnesis.kernel.jobs import Job, JobKind
from anamnesis.kernel.procedures import Allow, Registry, Request
from anamnesis.llm.port import ChatModel
from anamnesis.llm.scripted import ScriptedModel
from anamnesis.messaging.api import Messaging
from anamnesis.messaging.api import procedures as messaging_procedures
from anamnesis.messaging.model import Heard
from anamnesis.messaging.store import PostgresMessageStore
from anamnesis.notifications.api import Notifications
from anamnesis.notifications.api import procedures as notification_procedures
from anamnesis.notifications.store import PostgresNotificationStore
from anamnesis.settings import Limits, Provider, Settings
from anamnesis.workers.loop import Worker

_NAMES: Final = tuple(
    procedure.name
    for procedures in (
        care_procedures,
        messaging_procedures,
        intake_procedures,
        session_procedures,
        handover_procedures,
        addition_procedures,
        notification_procedures,
        administration_procedures,
    )
    for procedure in procedures
)


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
    care_store: PostgresCareStore
    intake_store: PostgresIntakeStore
    observe: Observe
    health: Health
    webhook: ASGIApp
    measures: Measures
    collectors: CollectorRegistry
    drain: Drain
    extra_roads: Sequence[tuple[str, ASGIApp]] = ()
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
            options=RestOptions(limits.body_bytes),
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
            *self.extra_roads,
        ]
        inner: ASGIApp = Switch(roads, pages)
        allowed = [self.settings.public_origin]
        guarded = OriginGuard(inner, allowed=allowed, allow_own_loopback=not self.settings.is_production)
        proxies = TrustedProxies(self.settings.trusted_proxies)
        return GoodManners(Measuring(LastResort(guarded), self.measures), is_https=proxies.is_https)

    async def _metrics(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The instruments, with the queue as it is now; without a database the last known queue stands."""
        with suppress(Unavailable):
            depth = await outbox.depth(self.database)
            self.measures.queue(
                queued=depth.queued, running=depth.running, dead=depth.dead, oldest_s=float(depth.oldest_s)
            )
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
        )

    async def _queue(self) -> list[tuple[str, str]]:
        depth = await outbox.depth(self.database)
        return [
            ("Waiting", str(depth.queued)),
            ("Running", str(depth.running)),
            ("Given up", str(depth.dead)),
            ("Oldest, seconds", f"{depth.oldest_s:.0f}"),
            ("Connections in use", f"{self.database.in_use} of {self.database.size}"),
        ]

    async def _stuck(self) -> list[Mapping[str, Any]]:
        rows = await self.intake_store.stuck()
        return [{**row, "waiting": f"{row['waiting_s']:.0f} s"} for row in rows]

    async def forget_spent(self) -> None:
        """Drop what is too old to be counted, sent again or looked at. Raises Unavailable."""
        await self.care_store.forget_spent()
        await self.care_store.forget_events()
        await purge_finished_jobs(self.database)

    async def _keep_forgetting(self) -> None:
        """Once a minute, here and in every other process: each pass is bounded, and none waits for another's."""
        while True:
            await asyncio.sleep(60)
            with suppress(Unavailable):
                await self.forget_spent()

    @asynccontextmanager
    async def running(self, *, works: bool = True) -> AsyncIterator[None]:
        """Keep the background parts going: live wake-ups, the worker, the keys; stop them in order."""
        self.bus.start()
        if self.keys is not None:
            self._tasks.append(asyncio.create_task(self.keys.warm(), name="keys"))
        working = asyncio.create_task(self.worker.run(), name="worker") if works else None
        self._tasks.append(asyncio.create_task(self._keep_forgetting(), name="forgetting"))
        try:
            yield
        finally:
            self.worker.stop()
            if working is not None:
                await working
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
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
    database = Database(app_dsn, pool)
    bus = Bus(direct_dsn, listens=profile is Profile.SERVER)
    content, clock = load_content(), SystemClock()
    care_store, intake_store = PostgresCareStore(database), PostgresIntakeStore(database)
    handover_store, origin = PostgresHandoverStore(database), settings.public_origin
    collectors = CollectorRegistry()
    measures = Measures(collectors, procedures=_NAMES)
    measures.watch_pool(in_use=lambda: database.in_use, size=lambda: database.size)
    interviewer = Interviewer(
        content, model or ScriptedModel(), settings.ai.timeout_s, is_builtin=model is None, observer=measures
    )

    def hear(text: str) -> Heard:
        screened = intake_actions.listen(text, interviewer)
        return Heard(screened.record.acuity, bool(screened.new_flags), screened.emergency_text)

    registry = Registry()
    registry.add(care_procedures, Care(care_store, clock, origin))
    registry.add(
        messaging_procedures,
        Messaging(PostgresMessageStore(database), bus, hear),
    )
    intake = Intake(intake_store, care_store, interviewer, bus)
    registry.add(intake_procedures, intake)
    registry.add(session_procedures, intake)
    handover = Handover(handover_store, care_store)
    registry.add(handover_procedures, handover)
    registry.add(addition_procedures, handover)
    registry.add(notification_procedures, Notifications(PostgresNotificationStore(database), bus))
    registry.add(administration_procedures, Administration(PostgresAdministrationStore(database)))
    add_unported(registry)
    keys, secret = keys or _keys(settings), settings.identity.webhook_secret
    expected = Expected(issuer or settings.identity.issuer or origin, frozenset({origin}))
    proxies = TrustedProxies(settings.trusted_proxies)

    async def turn(job: Job) -> None:
        await intake_actions.take_turn(job, store=intake_store, interviewer=interviewer)

    async def announce(job: Job) -> None:
        await announce_handover(job.subject, store=handover_store)

    async def alert(job: Job) -> None:
        await alert_clinician(job.subject, store=handover_store)

    handlers = {JobKind.TAKE_TURN: turn, JobKind.ANNOUNCE_HANDOVER: announce, JobKind.ALERT_CLINICIAN: alert}
    worker = Worker(database, handlers, bus=bus, observe=measures.job)
    drain = Drain()
    others = _other_probes(worker, keys, is_builtin=settings.ai.providers[0] is Provider.BUILTIN)
    return App(
        settings=settings,
        database=database,
        bus=bus,
        content=content,
        registry=registry,
        door=Door(care_store, frozenset({*settings.identity.superuser_ids, *superusers}), _rates(settings.limits)),
        care_store=care_store,
        keys=keys,
        request_of=_nobody if keys is None else request_of(Verifier(keys, expected), proxies=proxies),
        worker=worker,
        intake_store=intake_store,
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
    )


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


def _other_probes(worker: Worker, keys: KeySource | None, *, is_builtin: bool) -> dict[str, Probe]:
    """The parts beside the database. The built-in interviewer is always there."""

    async def working() -> Condition:
        return Condition.OK if worker.is_alive() else Condition.DEGRADED

    async def authenticating() -> Condition:
        return Condition.DOWN if keys is None else Condition(keys.state.value)

    async def wording() -> Condition:
        # Vendors' models are not built yet: a deployment that names one is served by the built-in interviewer.
        return Condition.OK if is_builtin else Condition.DEGRADED

    return {"worker": working, "auth": authenticating, "ai": wording}


def _keys(settings: Settings) -> KeySource | None:
    identity = settings.identity
    if identity.jwt_key:
        return PemKeys(identity.jwt_key)
    return JwksKeys(identity.jwks_url) if identity.jwks_url else None


async def _nobody(scope: Any) -> Request:
    """Without any key nobody can sign in: every caller is a visitor."""
    return Request(request_id_of(scope))
