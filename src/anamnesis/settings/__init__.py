"""What an operator may set, read once at the start. Nothing else in the system looks at the environment."""

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final
from urllib.parse import urlsplit

from anamnesis.kernel.errors import AnamnesisError
from anamnesis.kernel.inside import is_inside
from anamnesis.settings import reading
from anamnesis.settings.reading import Network, Problem, Reader, Secret

__all__ = ["VARIABLES", "Ai", "Database", "Identity", "Limits", "Problem", "Secret", "Settings", "SettingsInvalid"]


class Environment(StrEnum):
    """Development forgives what production must have."""

    DEVELOPMENT = "development"
    PRODUCTION = "production"


class Provider(StrEnum):
    """Who words the questions: a vendor's model, or our own rules."""

    BUILTIN = "builtin"
    GEMINI = "gemini"
    OPENAI = "openai"


#: What is asked when no model is named.
DEFAULT_MODELS: Final = {Provider.GEMINI: "gemini-2.5-flash", Provider.OPENAI: "gpt-4o-mini"}


@dataclass(frozen=True, slots=True)
class Variable:
    """One variable of the environment, as `anamnesis check` lists it."""

    name: str
    purpose: str
    default: str = ""
    is_required: bool = False  # in production


def _required(name: str, purpose: str) -> Variable:
    return Variable(name, purpose, is_required=True)


VARIABLES: Final = (
    _required("DATABASE_URL", "PostgreSQL 15+: postgresql://USER:PASSWORD@HOST:5432/DATABASE"),
    _required("CLERK_SECRET_KEY", "Clerk's secret key, sk_live_… (sk_test_… while trying out)"),
    _required("NEXT_PUBLIC_CLERK_PUBLISHABLE_KEY", "Clerk's publishable key, pk_live_… (pk_test_…)"),
    _required("NEXT_PUBLIC_APP_URL", "the public origin, https://HOST: for CSRF, azp and share links"),
    Variable("AI_PROVIDER", "gemini, openai or builtin", "builtin in development", is_required=True),
    Variable("GEMINI_API_KEY", "the key of Gemini, when AI_PROVIDER or AI_FALLBACK names it"),
    Variable("OPENAI_API_KEY", "the key of OpenAI, when AI_PROVIDER or AI_FALLBACK names it"),
    Variable("ANAMNESIS_ENV", "development or production", "development"),
    Variable("HOST", "the address to listen on", "127.0.0.1"),
    Variable("PORT", "the port to listen on", "8000"),
    Variable("DATABASE_DIRECT_URL", "the server itself, for LISTEN and migrations behind a pooler", "DATABASE_URL"),
    Variable("DB_PROFILE", "server or serverless (one short-lived connection, nothing prepared)", "server"),
    Variable("DB_POOL_SIZE", "connections of one process, profile server", "10"),
    Variable("PG_BIN", "folder of PostgreSQL's programs, for the embedded server", "found by itself"),
    Variable("CLERK_JWT_KEY", "Clerk's public key in PEM form: tokens are verified without the network"),
    Variable("CLERK_ISSUER", "the issuer of tokens", "from the publishable key"),
    Variable("CLERK_JWKS_URL", "where the issuer's keys are", "from the issuer"),
    Variable("CLERK_WEBHOOK_SECRET", "the signing secret of Clerk's webhook, whsec_…"),
    Variable("SUPERUSER_IDS", "Clerk ids of operators", "nobody"),
    Variable("AI_FALLBACK", "further providers, in order", "none"),
    Variable("AI_MODEL", "the model of the provider in use", "the provider's own"),
    Variable("GEMINI_MODEL", "the model of Gemini", "AI_MODEL"),
    Variable("OPENAI_MODEL", "the model of OpenAI", "AI_MODEL"),
    Variable("GEMINI_BASE_URL", "another address of Gemini's API"),
    Variable("OPENAI_BASE_URL", "another address of OpenAI's API"),
    Variable(
        "AI_OUTSIDE", "allowed, or forbidden: then a model is reached at a loopback or private address only", "allowed"
    ),
    Variable("AI_COUNTRIES", "PROVIDER=COUNTRY, where a provider works: patients read it when asked", "not told"),
    Variable("AI_RECORD_FOLDER", "keep what models are told and say in files, scrubbed; development only", "nothing"),
    Variable("AI_STREAMING", "on, or off: then a model's reply is shown when it is whole", "on"),
    Variable(
        "AI_PHOTOS",
        "on, or off: then no model sees the photos patients send",
        "on; off with CONSENT_RECORDED_ELSEWHERE",
    ),
    Variable("AI_TIMEOUT_S", "seconds a reply may take before the built-in interviewer answers", "25"),
    Variable("AI_PRICES", "MODEL=IN/OUT, US dollars for a million tokens, for the ledger", "costs are not known"),
    Variable(
        "AI_DAILY_USD", "the most all models may cost a day, UTC; past it the built-in interviewer asks", "no cap"
    ),
    Variable("AI_SESSION_USD", "the most one interview's models may cost a day", "no cap"),
    Variable(
        "AI_PATIENT_USD",
        "the most models may cost a day, UTC, over all of a patient's interviews; needs AI_PRICES",
        "1",
    ),
    Variable("TRUSTED_PROXIES", "address blocks whose X-Forwarded-For is believed", "nobody"),
    Variable("CONTENT_STATUS", "draft or signed: which clinical content may be served", "draft"),
    Variable("CONSENT_RECORDED_ELSEWHERE", "true when the client asks for consent itself", "false"),
    Variable("RATE_FACTOR", "multiplies every rate limit", "1"),
    Variable("FILES_FOLDER", "the folder of photos and documents, unless a bucket is set", "var/files"),
    Variable("FILES_S3_URL", "the address of an S3-compatible store, when files are kept in a bucket"),
    Variable("FILES_S3_BUCKET", "the bucket, when FILES_S3_URL is set"),
    Variable("FILES_S3_REGION", "the bucket's region", "us-east-1"),
    Variable("FILES_S3_KEY_ID", "the id of the bucket's access key, when FILES_S3_URL is set"),
    Variable("FILES_S3_SECRET_KEY", "the bucket's secret key, when FILES_S3_URL is set"),
    Variable("FILES_SECRET", "signs the addresses of files, the same for every process", "from CLERK_SECRET_KEY"),
    Variable("FILES_IMAGE_MB", "the largest photo taken, in MB as sent", "8"),
    Variable("FILES_IMAGE_MEGAPIXELS", "the largest photo taken, in millions of pixels", "40"),
    Variable("FILES_PDF_MB", "the largest document taken, in MB", "16"),
    Variable(
        "WEBHOOK_TARGETS", "addresses that are told of events by ids: the only hosts anything is sent to", "nobody"
    ),
    Variable(
        "WEBHOOK_SECRET", "signs what is told, whsec_…, when WEBHOOK_TARGETS is set; a new one first, then the old"
    ),
    Variable(
        "ENCRYPTION_KEYS",
        "ID:KEY,… of 32 bytes in base64: the first encrypts what people write, all decrypt; `anamnesis keys new`",
        "none; the demo makes its own",
    ),
    Variable("RETENTION_DAYS", "days after which what nobody has touched is erased, 30 or more", "kept for good"),
    Variable(
        "METRICS_TOKEN", "what Prometheus shows as a bearer token to read /metrics", "whoever reaches the port reads it"
    ),
    Variable("LOG_LEVEL", "debug, info, warning or error", "info"),
)


@dataclass(eq=False)
class SettingsInvalid(AnamnesisError):
    """The environment cannot be used; every problem is listed, by name and never by value."""

    problems: tuple[Problem, ...]

    def __str__(self) -> str:
        return "\n".join(str(problem) for problem in self.problems)


@dataclass(frozen=True, slots=True)
class Database:
    """Where the database is; without a url a private server is started (development only)."""

    url: Secret | None = None
    direct_url: Secret | None = None
    profile: str = "server"
    pool_size: int = 10
    pg_bin: str | None = None

    @property
    def migrating_url(self) -> Secret | None:
        """Where migrations and LISTEN connect: past a pooler when there is one."""
        return self.direct_url or self.url


@dataclass(frozen=True, slots=True)
class Identity:
    """How tokens are verified. issuer and jwks_url are there whenever a publishable key or an issuer is."""

    secret_key: Secret | None = None
    publishable_key: str | None = None
    jwt_key: str | None = None
    issuer: str | None = None
    jwks_url: str | None = None
    webhook_secret: Secret | None = None
    superuser_ids: frozenset[str] = frozenset()


#: US dollars a day: several whole interviews with a dear model, and a small loss to whoever writes without end.
PATIENT_USD: Final = 1.0


@dataclass(frozen=True, slots=True)
class Ai:
    """Who words the questions: providers in order of preference, the built-in one always last and unnamed."""

    providers: tuple[Provider, ...] = (Provider.BUILTIN,)
    gemini_key: Secret | None = None
    openai_key: Secret | None = None
    gemini_model: str | None = None
    openai_model: str | None = None
    gemini_base_url: str | None = None
    openai_base_url: str | None = None
    is_outside_forbidden: bool = False
    countries: tuple[tuple[str, str], ...] = ()
    record_folder: str | None = None
    timeout_s: float = 25.0
    is_streaming: bool = True
    photos: bool | None = None
    prices: tuple[tuple[str, float, float], ...] = ()
    daily_usd: float | None = None
    session_usd: float | None = None
    patient_usd: float = PATIENT_USD

    def model_of(self, provider: Provider) -> str:
        """The name of the model to ask a vendor for."""
        named = self.gemini_model if provider is Provider.GEMINI else self.openai_model
        return named or DEFAULT_MODELS[provider]

    def base_url_of(self, provider: Provider) -> str | None:
        """Where a vendor's API is, when it is not where the vendor has it."""
        return self.gemini_base_url if provider is Provider.GEMINI else self.openai_base_url

    def country_of(self, provider: Provider) -> str | None:
        """Where a provider works, as the operator marked it."""
        return next((place for name, place in self.countries if name == provider), None)

    @property
    def unpriced(self) -> tuple[str, ...]:
        """The models in use whose price is not set: what they cost is not known, and no cap in dollars stops them."""
        known = {name for name, _, _ in self.prices}
        return tuple(dict.fromkeys(name for name in map(self.model_of, self.outside) if name not in known))

    @property
    def outside(self) -> tuple[Provider, ...]:
        """The vendors' models to ask, in order: those before the built-in interviewer, who always answers."""
        return tuple(itertools.takewhile(lambda each: each is not Provider.BUILTIN, self.providers))


@dataclass(frozen=True, slots=True)
class Bucket:
    """An S3-compatible store."""

    url: str
    name: str
    region: str
    key_id: str
    secret_key: Secret


@dataclass(frozen=True, slots=True)
class Files:
    """Where files are kept, in the bucket if there is one, and how large they may be."""

    folder: str = "var/files"
    bucket: Bucket | None = None
    secret: Secret | None = None
    image_mb: int = 8
    image_megapixels: int = 40
    pdf_mb: int = 16


@dataclass(frozen=True, slots=True)
class Webhooks:
    """Who is told of events. This list is the whole of where the service may be made to send anything.

    Events are signed with secret, and with the earlier ones too until every receiver knows the new one.
    """

    targets: tuple[str, ...] = field(default=(), repr=False)
    secret: Secret | None = None
    earlier: tuple[Secret, ...] = ()


@dataclass(frozen=True, slots=True)
class Limits:
    """Rates are calls per minute, identity and procedure, as in the system replaced; factor multiplies them all.

    Sizes are in bytes. More model calls than model_calls degrade to the built-in interviewer, not to a refusal.
    """

    factor: float = 1.0
    public: int = 30
    protected: int = 60
    admin: int = 100
    uploads: int = 10
    model_calls: int = 20
    batch_calls: int = 20
    body_bytes: int = 1024 * 1024

    def per_minute(self, calls: int) -> int:
        """A rate under the factor; never below one."""
        return max(1, round(calls * self.factor))


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything an operator set, checked. warnings name what works but deserves a second look."""

    environment: Environment = Environment.DEVELOPMENT
    host: str = "127.0.0.1"
    port: int = 8000
    app_url: str | None = None
    database: Database = field(default_factory=Database)
    identity: Identity = field(default_factory=Identity)
    ai: Ai = field(default_factory=Ai)
    files: Files = field(default_factory=Files)
    webhooks: Webhooks = field(default_factory=Webhooks)
    encryption_keys: tuple[tuple[str, Secret], ...] = ()
    limits: Limits = field(default_factory=Limits)
    trusted_proxies: tuple[Network, ...] = ()
    content_status: str = "draft"
    consent_recorded_elsewhere: bool = False
    retention_days: int | None = None
    metrics_token: Secret | None = None
    log_level: str = "info"
    warnings: tuple[Problem, ...] = ()

    @property
    def is_production(self) -> bool:
        """Whether patients may be on the other side."""
        return self.environment is Environment.PRODUCTION

    @property
    def shows_photos(self) -> bool:
        """Whether a model sees the photos of a message it answers.

        Our own question asks for that. A client that asks by itself may have asked for words alone: that it asks for
        photos too has to be said.
        """
        return not self.consent_recorded_elsewhere if self.ai.photos is None else self.ai.photos

    @property
    def public_origin(self) -> str:
        """The origin browsers see; in development, when none is set, the address listened on."""
        return self.app_url or f"http://{self.host}:{self.port}"

    @classmethod
    def from_env(cls, environment: Mapping[str, str]) -> "Settings":
        """Read the environment. Raises SettingsInvalid with every problem at once."""
        reader = Reader(environment)
        name = reader.take("ANAMNESIS_ENV", reading.one_of(*Environment), Environment.DEVELOPMENT)
        settings = cls(
            environment=Environment(name),
            host=reader.take("HOST", reading.host, "127.0.0.1"),
            port=reader.take("PORT", reading.whole(1, 65535), 8000),
            app_url=reader.take("NEXT_PUBLIC_APP_URL", reading.origin, None),
            database=_database(reader),
            identity=_identity(reader),
            ai=_ai(reader),
            files=_files(reader),
            webhooks=_webhooks(reader),
            encryption_keys=_encryption_keys(reader),
            limits=Limits(factor=reader.take("RATE_FACTOR", reading.number(0.01, 1_000_000), 1.0)),
            trusted_proxies=reader.take("TRUSTED_PROXIES", reading.several(reading.network), ()),
            content_status=reader.take("CONTENT_STATUS", reading.one_of("draft", "signed"), "draft"),
            consent_recorded_elsewhere=reader.take("CONSENT_RECORDED_ELSEWHERE", reading.truth, default=False),
            retention_days=reader.take("RETENTION_DAYS", reading.whole(30, 36_500), None),
            metrics_token=reader.take("METRICS_TOKEN", reading.token, None),
            log_level=reader.take("LOG_LEVEL", reading.one_of("debug", "info", "warning", "error"), "info"),
        )
        if settings.is_production:
            _demand_production(reader, settings)
        if reader.problems:
            raise SettingsInvalid(tuple(sorted(set(reader.problems))))
        return replace(settings, warnings=tuple(_warnings(settings))) if settings.is_production else settings

    @classmethod
    def database_from_env(cls, environment: Mapping[str, str]) -> Database:
        """Only what a migration needs. Raises SettingsInvalid with every problem of it."""
        reader = Reader(environment)
        database = _database(reader)
        if environment.get("ANAMNESIS_ENV", "").strip().lower() == Environment.PRODUCTION:
            reader.require("DATABASE_URL", _purpose("DATABASE_URL"))
        if reader.problems:
            raise SettingsInvalid(tuple(sorted(set(reader.problems))))
        return database

    @classmethod
    def encryption_from_env(cls, environment: Mapping[str, str]) -> tuple[tuple[str, Secret], ...]:
        """Only the keys of what people wrote. Raises SettingsInvalid."""
        reader = Reader(environment)
        keys = _encryption_keys(reader)
        if reader.problems:
            raise SettingsInvalid(tuple(sorted(set(reader.problems))))
        return keys


def _encryption_keys(reader: Reader) -> tuple[tuple[str, Secret], ...]:
    keys: tuple[tuple[str, Secret], ...] = reader.take("ENCRYPTION_KEYS", reading.several(reading.encryption_key), ())
    if len({key_id for key_id, _ in keys}) < len(keys):
        reader.refuse("ENCRYPTION_KEYS", "has two keys of one id. What one of them wrote could not be read.")
    return keys


def _database(reader: Reader) -> Database:
    return Database(
        url=reader.take("DATABASE_URL", reading.database_url, None),
        direct_url=reader.take("DATABASE_DIRECT_URL", reading.database_url, None),
        profile=reader.take("DB_PROFILE", reading.one_of("server", "serverless"), "server"),
        pool_size=reader.take("DB_POOL_SIZE", reading.whole(1, 500), 10),
        pg_bin=reader.take("PG_BIN", str, None),
    )


def _files(reader: Reader) -> Files:
    return Files(
        folder=reader.take("FILES_FOLDER", reading.text, "var/files"),
        bucket=_bucket(reader),
        secret=reader.take("FILES_SECRET", reading.secret, None),
        image_mb=reader.take("FILES_IMAGE_MB", reading.whole(1, 100), 8),
        image_megapixels=reader.take("FILES_IMAGE_MEGAPIXELS", reading.whole(1, 60), 40),
        pdf_mb=reader.take("FILES_PDF_MB", reading.whole(1, 100), 16),
    )


def _webhooks(reader: Reader) -> Webhooks:
    secrets = reader.take("WEBHOOK_SECRET", reading.several(reading.signing_secret), ())
    webhooks = Webhooks(
        targets=reader.take("WEBHOOK_TARGETS", reading.several(reading.receiver_url), ()),
        secret=secrets[0] if secrets else None,
        earlier=secrets[1:],
    )
    if webhooks.targets:
        reader.require("WEBHOOK_SECRET", "WEBHOOK_TARGETS is set.")
    return webhooks


def _bucket(reader: Reader) -> Bucket | None:
    url = reader.take("FILES_S3_URL", reading.web_url, None)
    name = reader.take("FILES_S3_BUCKET", reading.text, None)
    key_id = reader.take("FILES_S3_KEY_ID", reading.text, None)
    secret_key = reader.take("FILES_S3_SECRET_KEY", reading.secret, None)
    region = reader.take("FILES_S3_REGION", reading.text, "us-east-1")
    if url is None:
        return None
    for variable in ("FILES_S3_BUCKET", "FILES_S3_KEY_ID", "FILES_S3_SECRET_KEY"):
        reader.require(variable, "FILES_S3_URL is set.")
    if name is None or key_id is None or secret_key is None:
        return None
    return Bucket(url, name, region, key_id, secret_key)


def _identity(reader: Reader) -> Identity:
    clerk = "Clerk's API keys page"
    key = "NEXT_PUBLIC_CLERK_PUBLISHABLE_KEY"
    host = reader.take(key, reading.frontend_host, None)
    issuer = reader.take("CLERK_ISSUER", reading.web_url, f"https://{host}" if host else None)
    jwks_url = f"{issuer}/.well-known/jwks.json" if issuer else None
    return Identity(
        secret_key=reader.take("CLERK_SECRET_KEY", reading.secret_like(("sk_live_", "sk_test_"), clerk), None),
        publishable_key=reader.environment[key].strip() if host else None,
        jwt_key=reader.take("CLERK_JWT_KEY", reading.public_key, None),
        issuer=issuer,
        jwks_url=reader.take("CLERK_JWKS_URL", reading.web_url, jwks_url),
        webhook_secret=reader.take("CLERK_WEBHOOK_SECRET", reading.verifying_secret, None),
        superuser_ids=frozenset(reader.take("SUPERUSER_IDS", reading.several(reading.text), ())),
    )


_OUTSIDE: Final = ("allowed", "forbidden")


def _ai(reader: Reader) -> Ai:
    known = reading.one_of(*Provider)
    first = reader.take("AI_PROVIDER", known, Provider.BUILTIN)
    others = reader.take("AI_FALLBACK", reading.several(known), ())
    providers = tuple(dict.fromkeys(Provider(name) for name in (first, *others)))
    for provider in providers:
        if provider is not Provider.BUILTIN:
            reader.require(f"{provider.upper()}_API_KEY", f"AI_PROVIDER or AI_FALLBACK names {provider}.")
    model = reader.take("AI_MODEL", reading.text, None)
    patient_usd = reader.take("AI_PATIENT_USD", reading.number(0, 1_000_000), None)
    ai = Ai(
        providers=providers,
        gemini_key=reader.take("GEMINI_API_KEY", reading.secret, None),
        openai_key=reader.take("OPENAI_API_KEY", reading.secret, None),
        gemini_model=reader.take("GEMINI_MODEL", reading.text, model if first == Provider.GEMINI else None),
        openai_model=reader.take("OPENAI_MODEL", reading.text, model if first == Provider.OPENAI else None),
        gemini_base_url=reader.take("GEMINI_BASE_URL", reading.web_url, None),
        openai_base_url=reader.take("OPENAI_BASE_URL", reading.web_url, None),
        is_outside_forbidden=reader.take("AI_OUTSIDE", reading.one_of(*_OUTSIDE), "allowed") == "forbidden",
        countries=reader.take("AI_COUNTRIES", reading.several(reading.country), ()),
        record_folder=reader.take("AI_RECORD_FOLDER", reading.text, None),
        is_streaming=reader.take("AI_STREAMING", reading.one_of("on", "off"), "on") == "on",
        photos={"on": True, "off": False}.get(reader.take("AI_PHOTOS", reading.one_of("on", "off"), "")),
        timeout_s=reader.take("AI_TIMEOUT_S", reading.number(0.1, 29), 25.0),
        prices=reader.take("AI_PRICES", reading.several(reading.price), ()),
        daily_usd=reader.take("AI_DAILY_USD", reading.number(0, 1_000_000), None),
        session_usd=reader.take("AI_SESSION_USD", reading.number(0, 1_000_000), None),
        patient_usd=PATIENT_USD if patient_usd is None else patient_usd,
    )
    if not {name for name, _ in ai.countries} <= set(Provider) - {Provider.BUILTIN}:
        reader.refuse("AI_COUNTRIES", "must name gemini or openai before each =.")
    hosts = [urlsplit(ai.base_url_of(each) or "").hostname for each in ai.outside]
    if ai.is_outside_forbidden and not all(map(is_inside, hosts)):
        reader.refuse(
            "AI_OUTSIDE", "forbids every model but one whose BASE_URL is a loopback or private address in figures."
        )
    is_capped = not (ai.daily_usd is None and ai.session_usd is None and patient_usd is None)
    if is_capped and ai.unpriced:
        reader.refuse(
            "AI_PRICES",
            "must price every model in use, or AI_DAILY_USD, AI_SESSION_USD and AI_PATIENT_USD cannot be kept.",
        )
    return ai


def _purpose(name: str) -> str:
    return next(f"It is {variable.purpose}." for variable in VARIABLES if variable.name == name)


def _demand_production(reader: Reader, settings: Settings) -> None:
    """What development may leave out or leave loose."""
    for variable in VARIABLES:
        if variable.is_required:
            reader.require(variable.name, _purpose(variable.name))
    origin = urlsplit(settings.app_url or "")
    if origin.scheme == "http" and not reading.is_loopback(origin.hostname or ""):
        reader.refuse("NEXT_PUBLIC_APP_URL", "must begin with https:// in production.")
    _demand_real(reader, "NEXT_PUBLIC_APP_URL", settings.app_url)
    for target in settings.webhooks.targets:
        if urlsplit(target).scheme != "https":
            reader.refuse("WEBHOOK_TARGETS", "must all begin with https:// in production.")
        elif reading.is_not_public(urlsplit(target).hostname or ""):
            reader.refuse(
                "WEBHOOK_TARGETS", "names this machine or a private address. Nothing is sent there in production."
            )
    if settings.ai.record_folder is not None:
        reader.refuse("AI_RECORD_FOLDER", "is for development: patients' words are not kept in files. Leave it out.")
    for name, secret in (
        ("DATABASE_URL", settings.database.url),
        ("DATABASE_DIRECT_URL", settings.database.direct_url),
    ):
        _demand_real(reader, name, secret.reveal() if secret else None)


def _demand_real(reader: Reader, name: str, address: str | None) -> None:
    parts = urlsplit(address or "")
    host = parts.hostname or "localhost"
    if reading.is_reserved(host):
        reader.refuse(name, "names a host that exists only in examples. Put your own host there.")
    if reading.is_everybodys(parts.password or "") and not reading.is_loopback(host):
        reader.refuse(name, "has a password everybody tries first. Choose another one.")


def _warnings(settings: Settings) -> Iterator[Problem]:
    """What works and still deserves a second look before patients arrive."""
    keys = (
        ("CLERK_SECRET_KEY", settings.identity.secret_key and settings.identity.secret_key.reveal()),
        ("NEXT_PUBLIC_CLERK_PUBLISHABLE_KEY", settings.identity.publishable_key),
    )
    for name, key in keys:
        if key and key.startswith(("sk_test_", "pk_test_")):
            yield Problem(name, "is a test key. Use the live one once real people sign in.")
    if not settings.encryption_keys:
        yield Problem(
            "ENCRYPTION_KEYS",
            "is not set: what people write stands unencrypted in the database and its backups."
            " `anamnesis keys new` makes a key; what stands there already is encrypted by `anamnesis keys rotate`.",
        )
    if reading.is_loopback(urlsplit(settings.public_origin).hostname or ""):
        yield Problem("NEXT_PUBLIC_APP_URL", "is this machine itself, which nobody else can reach.")
    url = settings.database.url
    if url and reading.is_everybodys(urlsplit(url.reveal()).password or ""):
        yield Problem("DATABASE_URL", "has a password everybody tries first. Choose another one.")
