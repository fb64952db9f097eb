import base64
import contextlib

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import given
from hypothesis import strategies as st

from anamnesis.settings import VARIABLES, Secret, Settings, SettingsInvalid
from anamnesis.settings.reading import Refused, frontend_host

PUBLISHABLE = "pk_live_" + base64.b64encode(b"clerk.clinic.ug$").decode()
GOOD = {
    "ANAMNESIS_ENV": "production",
    "DATABASE_URL": "postgresql://clinic:Vq81kdPz@db.clinic.ug:5432/clinic",
    "CLERK_SECRET_KEY": "sk_live_Zk3pQ8rTnW5yB2mX7cVd",
    "NEXT_PUBLIC_CLERK_PUBLISHABLE_KEY": PUBLISHABLE,
    "NEXT_PUBLIC_APP_URL": "https://clinic.ug",
    "AI_PROVIDER": "builtin",
    "ENCRYPTION_KEYS": "k1:" + base64.b64encode(bytes(range(32))).decode(),
}
REQUIRED = [variable.name for variable in VARIABLES if variable.is_required]


def pem(key):
    return (
        key.public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        .decode()
    )


def refused(**changes):
    """The names of the variables refused when these are changed; None takes one away."""
    return {problem.variable for problem in problems(**changes)}


def problems(**changes):
    environment = {name: text for name, text in {**GOOD, **changes}.items() if text is not None}
    with pytest.raises(SettingsInvalid) as caught:
        Settings.from_env(environment)
    return caught.value.problems


def test_an_empty_environment_is_a_development_clinic():
    settings = Settings.from_env({})
    assert not settings.is_production
    assert settings.database.url is None
    assert [str(provider) for provider in settings.ai.providers] == ["builtin"]
    assert settings.public_origin == "http://127.0.0.1:8000"
    assert settings.warnings == ()


def test_a_whole_production_environment_is_accepted_without_a_warning():
    settings = Settings.from_env(GOOD)
    assert settings.is_production
    assert settings.warnings == ()
    assert settings.identity.issuer == "https://clerk.clinic.ug"
    assert settings.identity.jwks_url == "https://clerk.clinic.ug/.well-known/jwks.json"


def test_production_without_anything_names_everything_it_needs_at_once():
    with pytest.raises(SettingsInvalid) as caught:
        Settings.from_env({"ANAMNESIS_ENV": "production"})
    assert [problem.variable for problem in caught.value.problems] == sorted(REQUIRED)
    assert set(REQUIRED) == {
        "AI_PROVIDER",
        "CLERK_SECRET_KEY",
        "DATABASE_URL",
        "NEXT_PUBLIC_APP_URL",
        "NEXT_PUBLIC_CLERK_PUBLISHABLE_KEY",
    }


@pytest.mark.parametrize("name", REQUIRED)
def test_each_required_variable_is_missed_alone(name):
    assert refused(**{name: None}) == {name}


@pytest.mark.parametrize("variable", VARIABLES, ids=lambda variable: variable.name)
@pytest.mark.parametrize(
    "text", ["", "   ", "changeme", "<your key>", "your_key_here", "${KEY}", "xxx", "TODO", "sk_test_..."]
)
def test_blanks_and_placeholders_are_refused_everywhere(variable, text):
    assert variable.name in refused(**{variable.name: text})


MALFORMED = [
    ("ANAMNESIS_ENV", "staging"),
    ("HOST", "not a host"),
    ("HOST", "http://127.0.0.1"),
    ("PORT", "0"),
    ("PORT", "65536"),
    ("PORT", "-1"),
    ("PORT", "80a"),
    ("PORT", "٨٠"),
    ("DATABASE_URL", "mysql://a:b@db/clinic"),
    ("DATABASE_URL", "postgresql://db.clinic.ug"),
    ("DATABASE_URL", "postgresql:///clinic"),
    ("DATABASE_URL", "postgresql://a:b@db:port/clinic"),
    ("DATABASE_URL", "postgresql://a:b@[::1/clinic"),
    ("DATABASE_URL", "just words"),
    ("DATABASE_URL", "postgresql://USER:<password>@db.clinic.ug/clinic"),
    ("DATABASE_URL", "postgresql://app:changeme@db.clinic.ug/clinic"),
    ("DATABASE_URL", "postgresql://app:password@db.clinic.ug/clinic"),
    ("DATABASE_URL", "postgresql://app:q8Zt@db.example.com/clinic"),
    ("DATABASE_DIRECT_URL", "postgresql://app:postgres@db.clinic.ug/clinic"),
    ("DB_PROFILE", "edge"),
    ("DB_POOL_SIZE", "0"),
    ("CLERK_SECRET_KEY", "sk_test_xxx"),
    ("CLERK_SECRET_KEY", "sk_live_short"),
    ("CLERK_SECRET_KEY", "pk_live_Zk3pQ8rTnW5yB2mX7cVd"),
    ("CLERK_SECRET_KEY", "sk_live_with a blank inside it"),
    ("NEXT_PUBLIC_CLERK_PUBLISHABLE_KEY", "pk_live_%%%"),
    ("NEXT_PUBLIC_CLERK_PUBLISHABLE_KEY", "pk_live_" + base64.b64encode(b"clerk.clinic.ug").decode()),
    ("NEXT_PUBLIC_CLERK_PUBLISHABLE_KEY", "pk_live_" + base64.b64encode(b"not a host$").decode()),
    ("NEXT_PUBLIC_CLERK_PUBLISHABLE_KEY", "sk_live_" + base64.b64encode(b"clerk.clinic.ug$").decode()),
    ("NEXT_PUBLIC_APP_URL", "clinic.ug"),
    ("NEXT_PUBLIC_APP_URL", "http://clinic.ug"),
    ("NEXT_PUBLIC_APP_URL", "https://clinic.ug/app"),
    ("NEXT_PUBLIC_APP_URL", "https://user@clinic.ug"),
    ("NEXT_PUBLIC_APP_URL", "https://[::1"),
    ("NEXT_PUBLIC_APP_URL", "https://www.example.com"),
    ("NEXT_PUBLIC_APP_URL", "javascript:alert(1)"),
    ("AI_PROVIDER", "claude"),
    ("AI_FALLBACK", "openai,,gemini"),
    ("AI_TIMEOUT_S", "30"),
    ("AI_TIMEOUT_S", "nan"),
    ("CLERK_JWT_KEY", "-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----"),
    ("CLERK_ISSUER", "clerk.clinic.ug"),
    ("CLERK_JWKS_URL", "file:///etc/passwd"),
    ("CLERK_WEBHOOK_SECRET", "secretsecretsecret"),
    ("CLERK_WEBHOOK_SECRET", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS"),
    ("CLERK_WEBHOOK_SECRET", "whsec_%%%%%%%%%%%%%%%%"),
    ("CLERK_WEBHOOK_SECRET", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
    ("SUPERUSER_IDS", "user_1,,user_2"),
    ("TRUSTED_PROXIES", "10.0.0.0/33"),
    ("TRUSTED_PROXIES", "0.0.0.0/0"),
    ("TRUSTED_PROXIES", "::/0"),
    ("CONTENT_STATUS", "final"),
    ("CONSENT_RECORDED_ELSEWHERE", "maybe"),
    ("RATE_FACTOR", "-1"),
    ("LOG_LEVEL", "loud"),
    ("METRICS_TOKEN", "guessable"),
    ("METRICS_TOKEN", "with blanks in between"),
    ("OPENAI_BASE_URL", "openrouter.ai/api"),
    ("GEMINI_MODEL", "two words"),
]


@pytest.mark.parametrize(("name", "text"), MALFORMED)
def test_what_cannot_be_right_is_refused_by_name_and_never_repeated(name, text):
    found = problems(**{name: text})
    assert name in {problem.variable for problem in found}
    assert len(text) < 4 or text not in "\n".join(str(problem) for problem in found)


def test_every_problem_is_told_at_once():
    assert refused(PORT="x", DATABASE_URL=None, LOG_LEVEL="loud", AI_FALLBACK="openai") == {
        "PORT",
        "DATABASE_URL",
        "LOG_LEVEL",
        "OPENAI_API_KEY",
    }


def test_a_provider_that_is_named_needs_its_key_even_in_development():
    with pytest.raises(SettingsInvalid) as caught:
        Settings.from_env({"AI_PROVIDER": "Gemini", "AI_FALLBACK": "OPENAI, builtin"})
    assert [problem.variable for problem in caught.value.problems] == ["GEMINI_API_KEY", "OPENAI_API_KEY"]


def test_providers_are_read_in_any_case_and_kept_in_order():
    settings = Settings.from_env(
        {**GOOD, "AI_PROVIDER": "GEMINI", "AI_FALLBACK": "OpenAI,gemini", "AI_MODEL": "flash"}
        | {"GEMINI_API_KEY": "AIzaQ8", "OPENAI_API_KEY": "sk-Q8"}
    )
    assert [str(provider) for provider in settings.ai.providers] == ["gemini", "openai"]
    assert (settings.ai.gemini_model, settings.ai.openai_model) == ("flash", None)


def test_an_unknown_provider_does_not_hide_behind_a_default():
    assert refused(AI_PROVIDER="gpt") == {"AI_PROVIDER"}


def test_a_pem_key_may_be_written_on_one_line():
    whole = pem(rsa.generate_private_key(public_exponent=65537, key_size=2048))
    for written in (whole, whole.strip().replace("\n", "\\n")):
        assert Settings.from_env({**GOOD, "CLERK_JWT_KEY": written}).identity.jwt_key == whole


def test_a_weak_key_or_one_of_another_kind_is_refused():
    assert refused(CLERK_JWT_KEY=pem(rsa.generate_private_key(public_exponent=65537, key_size=1024)))
    assert refused(CLERK_JWT_KEY=pem(ec.generate_private_key(ec.SECP256R1())))


@pytest.mark.parametrize(
    ("text", "origin"),
    [
        ("https://Clinic.ug/", "https://clinic.ug"),
        ("https://clinic.ug:443", "https://clinic.ug"),
        ("https://clinic.ug:8443", "https://clinic.ug:8443"),
        ("http://localhost:3000", "http://localhost:3000"),
        ("http://[::1]:8000", "http://[::1]:8000"),
    ],
)
def test_an_origin_is_kept_as_a_browser_sends_it(text, origin):
    assert Settings.from_env({**GOOD, "NEXT_PUBLIC_APP_URL": text}).app_url == origin


GOOD_KEY = base64.b64encode(bytes(range(100, 132))).decode()
OLD_KEY = base64.b64encode(bytes(range(32))).decode()


@pytest.mark.parametrize("keys", [
    "k1", "k1:", f":{GOOD_KEY}", f"K1:{GOOD_KEY}", f"k 1:{GOOD_KEY}", f"k1:{GOOD_KEY[:-4]}", f"k1:{GOOD_KEY}AAAA",
    f"k1:{GOOD_KEY[:-2]}é=",
    f"k1:{'A' * 43}=", f"{'k' * 33}:{GOOD_KEY}", f"k1:{GOOD_KEY},k1:{OLD_KEY}",
    f"k1:{GOOD_KEY},", f"enc:k1:{GOOD_KEY}",
])  # fmt: skip
def test_a_bad_encryption_key_is_refused_by_name_and_never_shown(keys):
    (problem,) = problems(ENCRYPTION_KEYS=keys)
    assert problem.variable == "ENCRYPTION_KEYS"
    assert GOOD_KEY not in str(problem)
    assert "AAAA" not in str(problem)


def test_the_first_encryption_key_writes_and_production_without_one_starts_with_a_warning():
    settings = Settings.from_env({"ENCRYPTION_KEYS": f"new:{GOOD_KEY}, old:{OLD_KEY}"})
    assert [key_id for key_id, _ in settings.encryption_keys] == ["new", "old"]
    assert GOOD_KEY not in repr(settings)
    without = Settings.from_env({name: text for name, text in GOOD.items() if name != "ENCRYPTION_KEYS"})
    ((name, advice),) = [(problem.variable, problem.advice) for problem in without.warnings]
    assert name == "ENCRYPTION_KEYS"
    assert "unencrypted" in advice
    assert "anamnesis keys new" in advice


def test_what_works_but_should_not_stay_so_is_a_warning():
    settings = Settings.from_env(
        {
            **GOOD,
            "CLERK_SECRET_KEY": "sk_test_Zk3pQ8rTnW5yB2mX7cVd",
            "NEXT_PUBLIC_APP_URL": "http://localhost:8000",
            "DATABASE_URL": "postgresql://postgres:postgres@localhost/clinic",
        }
    )
    assert [problem.variable for problem in settings.warnings] == [
        "CLERK_SECRET_KEY",
        "NEXT_PUBLIC_APP_URL",
        "DATABASE_URL",
    ]


def test_lists_are_read_with_blanks_and_repetitions():
    settings = Settings.from_env({"TRUSTED_PROXIES": "10.0.0.0/8, ::1,10.0.0.0/8", "SUPERUSER_IDS": "user_a, user_b"})
    assert [str(block) for block in settings.trusted_proxies] == ["10.0.0.0/8", "::1/128"]
    assert settings.identity.superuser_ids == {"user_a", "user_b"}


def test_a_secret_prints_as_nothing():
    settings = Settings.from_env({**GOOD, "OPENAI_API_KEY": "sk-Q8fj20dj"})
    shown = f"{settings!r} {settings} {settings.ai.openai_key}"
    for name in ("DATABASE_URL", "CLERK_SECRET_KEY"):
        assert GOOD[name] not in shown
    assert "Q8fj20dj" not in shown
    assert settings.ai.openai_key == Secret("sk-Q8fj20dj")
    assert settings.ai.openai_key.reveal() == "sk-Q8fj20dj"


def test_migrating_needs_only_the_database():
    database = Settings.database_from_env({"DATABASE_URL": GOOD["DATABASE_URL"], "PORT": "wrong"})
    assert database.migrating_url.reveal() == GOOD["DATABASE_URL"]
    with pytest.raises(SettingsInvalid):
        Settings.database_from_env({"ANAMNESIS_ENV": "production"})


def test_a_factor_raises_every_rate_and_never_closes_one():
    limits = Settings.from_env({"RATE_FACTOR": "100"}).limits
    assert limits.per_minute(limits.protected) == 6000
    assert Settings.from_env({"RATE_FACTOR": "0.01"}).limits.per_minute(30) == 1


@given(name=st.sampled_from([variable.name for variable in VARIABLES]), text=st.text(max_size=40))
def test_any_text_whatever_is_accepted_or_refused(name, text):
    with contextlib.suppress(SettingsInvalid):
        assert Settings.from_env({**GOOD, name: text}).is_production or name == "ANAMNESIS_ENV"


def publishable(host: str, kind: str = "pk_test") -> str:
    return f"{kind}_{base64.b64encode(host.encode()).decode()}"


def identity_of(publishable_key):
    return Settings.from_env({"NEXT_PUBLIC_CLERK_PUBLISHABLE_KEY": publishable_key}).identity


def test_issuer_and_key_set_follow_from_the_publishable_key():
    for kind in ("pk_test", "pk_live"):
        told = publishable("happy-cat-1.clerk.accounts.dev$", kind)
        assert frontend_host(told) == "happy-cat-1.clerk.accounts.dev"
        assert identity_of(told.rstrip("=")).issuer == "https://happy-cat-1.clerk.accounts.dev"
        assert identity_of(f" {told}\n").jwks_url == "https://happy-cat-1.clerk.accounts.dev/.well-known/jwks.json"


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "pk_test_",
        "pk_test_...",
        publishable("no-dollar.example"),
        publishable("evil.example/path$"),
        publishable("user@evil.example$"),
        publishable("localhost$"),
        publishable("a b.example$"),
        publishable("ok.example$", "sk_live"),
        publishable("ünicode.example$"),
        "pk_test_" + base64.b64encode(b"\xff\xfe$").decode(),
    ],
)
def test_a_publishable_key_that_names_no_host_is_refused_without_being_repeated(wrong):
    with pytest.raises(Refused, match="publishable key") as refused:
        frontend_host(wrong)
    encoded = wrong.rpartition("_")[2]
    assert not encoded or encoded not in str(refused.value)


def test_a_patients_cap_stands_unless_another_is_set():
    assert Settings.from_env({}).ai.patient_usd == 1.0
    environment = {"AI_PROVIDER": "gemini", "GEMINI_API_KEY": "k-Q8fj20dj"}
    assert Settings.from_env(environment).ai.patient_usd == 1.0
    with pytest.raises(SettingsInvalid) as invalid:
        Settings.from_env({**environment, "AI_PATIENT_USD": "0.2"})
    assert [problem.variable for problem in invalid.value.problems] == ["AI_PRICES"]
    priced = {**environment, "AI_PATIENT_USD": "0.2", "AI_PRICES": "gemini-2.5-flash=0.30/2.50"}
    assert Settings.from_env(priced).ai.patient_usd == 0.2


def test_photos_are_seen_unless_forbidden_or_asked_for_by_a_client_that_may_have_asked_for_words_alone():
    elsewhere = {"CONSENT_RECORDED_ELSEWHERE": "true"}
    assert Settings.from_env({}).shows_photos
    assert not Settings.from_env({"AI_PHOTOS": "off"}).shows_photos
    assert not Settings.from_env(elsewhere).shows_photos
    assert Settings.from_env({**elsewhere, "AI_PHOTOS": "on"}).shows_photos
    with pytest.raises(SettingsInvalid) as invalid:
        Settings.from_env({"AI_PHOTOS": "some"})
    assert [problem.variable for problem in invalid.value.problems] == ["AI_PHOTOS"]


def test_a_cap_needs_the_price_of_every_model_in_use():
    environment = {"AI_PROVIDER": "gemini", "GEMINI_API_KEY": "k-Q8fj20dj", "AI_DAILY_USD": "5"}
    with pytest.raises(SettingsInvalid) as invalid:
        Settings.from_env(environment)
    assert [problem.variable for problem in invalid.value.problems] == ["AI_PRICES"]
    priced = {**environment, "AI_PRICES": "gemini-2.5-flash=0.30/2.50, other=1/2"}
    assert Settings.from_env(priced).ai.prices[0] == ("gemini-2.5-flash", 0.3, 2.5)
    with pytest.raises(SettingsInvalid):
        Settings.from_env({**environment, "AI_PRICES": "gemini-2.5-flash"})
