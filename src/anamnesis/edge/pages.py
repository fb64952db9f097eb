"""The pages: server-rendered, working as plain forms, over the same procedures every client calls."""

from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlencode
from uuid import uuid4

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from starlette.applications import Starlette
from starlette.requests import Request as HttpRequest
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from anamnesis.edge import presenting
from anamnesis.edge.calling import Caller
from anamnesis.edge.faults import fault_of, retry_headers
from anamnesis.edge.forms import read_form
from anamnesis.edge.running import Guard, Observe, unobserved
from anamnesis.edge.static import asset_url, serve_asset
from anamnesis.kernel.consents import OUTSIDE_MODEL
from anamnesis.kernel.errors import (
    AnamnesisError,
    BadInput,
    Conflict,
    NotFound,
    NotSignedIn,
    TooManyRequests,
    Unavailable,
)
from anamnesis.kernel.procedures import Part, Registry, Request
from anamnesis.kernel.text import clean

MAX_FORM_FIELDS: Final = 20
_LONGEST_SEARCH: Final = 200  # characters, as admin.getUsers takes them
MAX_FORM_FILES: Final = 5


@dataclass(frozen=True, slots=True)
class Site:
    """What the pages need to know of the deployment they are served by.

    sign_in_url is where a visitor goes to sign in, or None when that is done by a link printed elsewhere.
    readiness, queue, stuck_turns and resting_sessions feed the operator's page. With asks_consent the chat asks whether
    a model outside may read along; models are the providers that word questions, each with its country where that is
    known, is_model_inside says that none of them is outside of the deployment, and shows_photos that they see photos.
    """

    registry: Registry
    guard: Guard
    request_of: Callable[[MutableMapping[str, Any]], Awaitable[Request]]
    origin: str
    emergency_numbers: tuple[str, ...]
    readiness: Callable[[], Awaitable[Mapping[str, Any]]]
    queue: Callable[[], Awaitable[list[tuple[str, str]]]]
    stuck_turns: Callable[[], Awaitable[list[Mapping[str, Any]]]]
    resting_sessions: Callable[[], Awaitable[list[Mapping[str, Any]]]]
    max_form_bytes: int = 16 << 20
    sign_in_url: str | None = None
    observe: Observe = unobserved
    asks_consent: bool = False
    models: tuple[tuple[str, str | None], ...] = ()
    is_model_inside: bool = False
    shows_photos: bool = False

    @property
    def whose_model(self) -> str:
        """Whose the models are and where they work, as a patient is told who decides about them."""
        if self.is_model_inside:
            return "that runs on the clinic's own computers"
        places = [place for _, place in self.models if place is not None]
        is_whole = bool(places) and len(places) == len(self.models)
        where = f" in {' or '.join(dict.fromkeys(places))}" if is_whole else ""
        return f"of another company{where}"


def pages_app(site: Site) -> Starlette:
    """Every page, as one application."""
    pages = Pages(site)
    patient = [
        Route("/", pages.home),
        Route("/sessions", pages.sessions),
        Route("/connect/{slug}", pages.connect, methods=["GET", "POST"]),
        Route("/intake", pages.start_intake, methods=["POST"]),
        Route("/s/{session_id}", pages.chat, methods=["GET"]),
        Route("/s/{session_id}", pages.send, methods=["POST"]),
        Route("/s/{session_id}/consent", pages.consent, methods=["POST"]),
        Route("/s/{session_id}/reply", pages.other_words, methods=["POST"]),
    ]
    doctor = [
        Route("/doctor", pages.inbox),
        Route("/doctor/case/{session_id}", pages.case),
        Route("/doctor/case/{session_id}/reply", pages.reply, methods=["POST"]),
        Route("/doctor/case/{session_id}/note", pages.note, methods=["POST"]),
        Route("/doctor/case/{session_id}/reviewed", pages.reviewed, methods=["POST"]),
        Route("/doctor/case/{session_id}/urgency", pages.lower_urgency, methods=["POST"]),
        Route("/doctor/case/{session_id}/print", pages.printable),
        Route("/doctor/emergency", pages.break_glass, methods=["POST"]),
    ]
    operator = [
        Route("/ops", pages.ops),
        Route("/ops/doctors/{doctor_id}", pages.verify, methods=["POST"]),
        Route("/ops/accounts/{user_id}", pages.account, methods=["POST"]),
    ]
    static = [Route("/static/{tag}/{name}", serve_asset)]
    failures = {404: pages.no_such_page, AnamnesisError: pages.failed}
    return Starlette(routes=[*patient, *doctor, *operator, *static], exception_handlers=failures)


class Pages:
    """One method a page. Each reads through procedures, so a page can show nobody more than an API client would see."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._templates = Environment(
            loader=PackageLoader("anamnesis.edge"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
        )
        self._templates.filters.update(clock=presenting.clock, day=presenting.day)
        self._templates.globals.update(
            asset=asset_url, new_id=uuid4, emergency_numbers=site.emergency_numbers, origin=site.origin
        )

    # -- the patient ---------------------------------------------------------------------------------------

    async def home(self, http: HttpRequest) -> Response:
        """The conversation that is going on; without one, where to begin; for staff, their own page."""
        caller = await self._caller(http)
        if caller.request.claims is None:
            return self._sign_in_first()
        user = await caller.call("user.me")
        if user["primaryRole"] == "super_admin":
            return RedirectResponse("/ops", 303)
        if user["doctor"]:
            return RedirectResponse("/doctor", 303)
        sessions = (await caller.call("intake.getMyIntakeSessions"))["sessions"]
        going_on = [session for session in sessions if session["status"] in ("not_started", "in_progress")]
        if going_on:
            return RedirectResponse(f"/s/{going_on[0]['id']}", 303)
        return await self._show_sessions(caller, sessions)

    async def sessions(self, http: HttpRequest) -> Response:
        """Every conversation, by doctor."""
        caller = await self._caller(http)
        return await self._show_sessions(caller, (await caller.call("intake.getMyIntakeSessions"))["sessions"])

    async def _show_sessions(self, caller: Caller, sessions: list[dict[str, Any]]) -> Response:
        connections = (await caller.call("connection.getMyConnections", status="all"))["connections"]
        doctors = [
            {
                "name": presenting.doctor_name(connection["doctor"]),
                "about": presenting.doctor_about(connection["doctor"]),
                "connection_id": connection["id"],
                "is_active": connection["status"] == "active",
                "sessions": [
                    {
                        "id": session["id"],
                        "name": session["name"],
                        "state": presenting.STATES[session["status"]],
                        "at": session["createdAt"],
                    }
                    for session in sessions
                    if session["connectionId"] == connection["id"]
                ],
            }
            for connection in connections
        ]
        return self._page("start.html", doctors=doctors)

    async def connect(self, http: HttpRequest) -> Response:
        """The page behind a doctor's share link; posting it connects and begins."""
        caller = await self._caller(http)
        if http.method == "POST":
            return await self._connect_and_begin(caller, await _fields(http))
        found = await caller.call("doctor.getBySlug", slug=http.path_params["slug"])
        doctor = {**found, "name": presenting.doctor_name(found), "about": presenting.doctor_about(found)}
        return self._page("connect.html", doctor=doctor)

    async def _connect_and_begin(self, caller: Caller, fields: Mapping[str, str]) -> Response:
        if caller.request.claims is None:
            return self._sign_in_first()
        doctor_id = fields.get("doctorId", "")
        mine = (await caller.call("connection.getMyConnections"))["connections"]
        existing = [connection for connection in mine if str(connection["doctorId"]) == doctor_id]
        connection = (
            existing[0]
            if existing
            else await caller.call("connection.create", doctorId=doctor_id, connectionSource="direct_url")
        )
        session = await caller.call("intake.create", connectionId=str(connection["id"]))
        return RedirectResponse(f"/s/{session['id']}", 303)

    async def start_intake(self, http: HttpRequest) -> Response:
        """Begin, or go on with, an interview for one doctor."""
        caller = await self._caller(http)
        session = await caller.call("intake.create", connectionId=(await _fields(http)).get("connectionId", ""))
        return RedirectResponse(f"/s/{session['id']}", 303)

    async def chat(self, http: HttpRequest) -> Response:
        """The conversation."""
        return await self._show_chat(await self._caller(http), http.path_params["session_id"])

    async def send(self, http: HttpRequest) -> Response:
        """Keep the patient's message and show the conversation; what is refused comes back in the box."""
        caller, session_id = await self._caller(http), http.path_params["session_id"]
        if caller.request.claims is None:
            return self._sign_in_first()
        async with read_form(http, most_bytes=self._site.max_form_bytes, most_files=MAX_FORM_FILES) as form:
            content, problem, images = form.fields.get("content", ""), "", []
            if not content.strip() and not form.parts:
                return await self._not_sent(caller, session_id, "", BadInput(), _WORDS_WANTED)
            try:
                images = await self._upload(caller, session_id, form.parts) if form.parts else []
            except (Unavailable, TooManyRequests):
                later = "it cannot be kept now. Send it again in a minute."
                if not content.strip():
                    return await self._show_chat(caller, session_id, problem=f"Your file was not sent: {later}")
                # Words never wait for a photo: they may tell of danger.
                problem = f"Your words were sent, your file was not: {later}"
            except BadInput as refused:
                return await self._not_sent(caller, session_id, content, refused, _in_words(refused))
        try:
            # A photo needs no words; a message does.
            alone = "" if content.strip() or not form.parts else PHOTO_ALONE if images else _DOCUMENT_ALONE
            told = {**_message_of(form.fields), **({"content": alone} if alone else {}), **_shown_with(images)}
            await caller.call("intake.sendMessage", sessionId=session_id, **told)
        except BadInput as refused:
            return await self._not_sent(caller, session_id, content, refused, _WORDS_WANTED)
        except TooManyRequests as refused:
            return await self._not_sent(caller, session_id, content, refused, str(refused))
        if problem:
            return await self._show_chat(caller, session_id, problem=problem)
        return RedirectResponse(f"/s/{session_id}#latest", 303)

    async def _not_sent(
        self, caller: Caller, session_id: str, draft: str, refused: BadInput | TooManyRequests, words: str
    ) -> Response:
        page = await self._show_chat(caller, session_id, problem=f"Nothing was sent. {words}", draft=draft)
        if isinstance(refused, TooManyRequests) and not isinstance(page, RedirectResponse):
            page.status_code = fault_of(refused).status
            page.headers.update(retry_headers([refused]))
        return page

    async def _upload(self, caller: Caller, session_id: str, parts: tuple[Part, ...]) -> list[str]:
        """Keep what came with a message; the ids of the photos, for the message to show them."""
        kept = await caller.call("file.upload", sessionId=session_id, files=list(parts))
        return [str(file["id"]) for file in kept["files"] if file["thumbnailUrl"]]

    async def other_words(self, http: HttpRequest) -> Response:
        """Have the last question put in other words; where there are none it stays."""
        caller, session_id = await self._caller(http), http.path_params["session_id"]
        named = {"messageId": seen} if (seen := (await _fields(http)).get("messageId")) else {}
        await caller.call("intake.regenerateResponse", sessionId=session_id, **named)
        return RedirectResponse(f"/s/{session_id}#latest", 303)

    async def consent(self, http: HttpRequest) -> Response:
        """Agree that a model outside reads along, or take it back; the conversation goes on either way."""
        caller = await self._caller(http)
        fields = await _fields(http)
        if fields.get("answer") == "yes":
            with suppress(BadInput):  # the page showed earlier words: it asks again, in those in force
                await caller.call("user.giveConsent", purpose=OUTSIDE_MODEL, version=fields.get("version", ""))
        else:
            await caller.call("user.withdrawConsent", purpose=OUTSIDE_MODEL)
        return RedirectResponse(f"/s/{http.path_params['session_id']}#latest", 303)

    async def _consent(self, caller: Caller) -> tuple[str, str]:
        """What the chat says about models outside, and the version it asks with.

        It says nothing where none is asked, and else asks or tells how to take it back.
        """
        if not self._site.asks_consent:
            return "", ""
        known = await caller.call("user.getConsents")
        versions = {each["purpose"]: each["version"] for each in known["inForce"]}
        return "given" if known["consents"] else "asked", versions[OUTSIDE_MODEL]

    async def _show_chat(self, caller: Caller, session_id: str, *, problem: str = "", draft: str = "") -> Response:
        found = await caller.call("intake.getSession", sessionId=session_id)
        session, connection = found["session"], found["connection"]
        if found["userRole"] != "patient":
            return RedirectResponse(f"/doctor/case/{session_id}", 303)
        doctor = presenting.doctor_name(connection["doctor"])
        talk = await self._direct_messages(caller, connection, viewer="You", other=doctor)
        interview = presenting.transcript(found["messages"], doctor=doctor)
        vitals = session["medicalData"].get("vitalsData") or {}
        consent, version = await self._consent(caller)
        return self._page(
            "chat.html",
            session={
                "id": session["id"],
                "connection_id": connection["id"],
                "completeness": session["completeness"],
            },
            doctor_name=doctor,
            stage=_stage(session),
            messages=presenting.merged(interview, talk),
            documents=await self._documents(caller, session_id),
            resume=found.get("lastEventId") or "",
            is_emergency=vitals.get("triageDecision") == "emergency",
            emergency_reason=vitals.get("triageReason") or "This may be an emergency.",
            choices=_choices(found["messages"]),
            can_write=connection["status"] == "active",
            consent=consent,
            consent_version=version,
            reworded=_asked_last(found["messages"]) if self._site.models and consent != "asked" else None,
            whose_model=self._site.whose_model,
            shows_photos=self._site.shows_photos,
            problem=problem,
            draft=draft,
        )

    async def _documents(self, caller: Caller, session_id: str) -> list[dict[str, object]]:
        """The files of a session that no bubble shows."""
        files = (await caller.call("intake.getSessionFiles", sessionId=session_id))["files"]
        return [presenting.file(each) for each in files if not each["thumbnailUrl"]]

    async def _direct_messages(
        self, caller: Caller, connection: Mapping[str, Any], *, viewer: str, other: str
    ) -> list[dict[str, object]]:
        """What the two people wrote to each other; it is marked as read because it is now being shown."""
        if connection["status"] != "active":
            return []
        connection_id = str(connection["id"])
        try:
            conversation = await caller.call("message.getConversation", connectionId=connection_id)
        except NotFound:  # an operator may read a case, and not what the two write to each other
            return []
        if not conversation["messages"]:
            return []
        await caller.call("message.markAsRead", connectionId=connection_id)
        me = await caller.call("user.getMe")
        return presenting.direct_messages(conversation["messages"], viewer_id=me["id"], viewer=viewer, other=other)

    # -- the doctor ----------------------------------------------------------------------------------------

    async def inbox(self, http: HttpRequest) -> Response:
        """Every case of this doctor, the most urgent first, then the longest waiting."""
        caller = await self._caller(http)
        if caller.request.claims is None:
            return self._sign_in_first()
        doctor = await caller.call("doctor.getMyProfile")
        cases = (await caller.call("handover.getInbox"))["cases"]
        now = datetime.now(UTC)
        return self._page(
            "inbox.html",
            rows=[presenting.inbox_row(case, now) for case in cases],
            doctor_name=presenting.doctor_name(doctor),
            is_verified=doctor["verificationStatus"] == "verified",
            share_url=doctor["shareUrl"],
        )

    async def case(self, http: HttpRequest) -> Response:
        """One case: the hand-over beside the conversation it rests on."""
        return await self._show_case(await self._caller(http), http.path_params["session_id"])

    async def _show_case(self, caller: Caller, session_id: str, *, problem: str = "") -> Response:
        if caller.request.claims is None:
            return self._sign_in_first()
        found = await caller.call("intake.getSession", sessionId=session_id)
        case = await caller.call("handover.getCase", sessionId=session_id)
        files = (await caller.call("intake.getSessionFiles", sessionId=session_id))["files"]
        patient = presenting.full_name(found["connection"]["patient"]["user"], "The patient")
        talk = await self._direct_messages(caller, found["connection"], viewer="You", other=patient)
        interview = presenting.transcript(found["messages"], doctor="You", patient=patient)
        return self._page(
            "case.html",
            case=presenting.case_page(found, case, patient),
            messages=presenting.merged(interview, talk),
            files=[presenting.file(each) for each in files],
            whose_model=self._site.whose_model if self._site.models else "",
            problem=problem,
        )

    async def reply(self, http: HttpRequest) -> Response:
        """Send the doctor's words to the patient."""

        async def act(caller: Caller, session_id: str, fields: Mapping[str, str]) -> None:
            found = await caller.call("intake.getSession", sessionId=session_id)
            await caller.call("message.send", connectionId=str(found["connection"]["id"]), **_message_of(fields))

        return await self._act_on_case(http, act)

    async def note(self, http: HttpRequest) -> Response:
        """Keep a note for the doctors' eyes."""

        async def act(caller: Caller, session_id: str, fields: Mapping[str, str]) -> None:
            await caller.call("intake.sendMessage", sessionId=session_id, **_message_of(fields))

        return await self._act_on_case(http, act)

    async def reviewed(self, http: HttpRequest) -> Response:
        """Mark the case as reviewed."""

        async def act(caller: Caller, session_id: str, _: Mapping[str, str]) -> None:
            await caller.call("intake.markAsReviewed", sessionId=session_id)

        return await self._act_on_case(http, act)

    async def lower_urgency(self, http: HttpRequest) -> Response:
        """Lower the urgency, with the doctor's reason."""

        async def act(caller: Caller, session_id: str, fields: Mapping[str, str]) -> None:
            seen = {"basis": fields["basis"]} if fields.get("basis") else {}
            decision = {name: fields.get(name, "") for name in ("to", "reason")}
            await caller.call("handover.lowerUrgency", sessionId=session_id, **decision, **seen)

        return await self._act_on_case(http, act)

    async def break_glass(self, http: HttpRequest) -> Response:
        """Open the case of a patient one is not connected to, in an emergency."""
        caller, fields = await self._caller(http), await _fields(http)
        given = {"sessionId": fields.get("sessionId", "").strip(), "reason": fields.get("reason", "")}
        opened = await caller.call("handover.breakGlass", **given)
        return RedirectResponse(f"/doctor/case/{opened['sessionId']}", 303)

    async def printable(self, http: HttpRequest) -> Response:
        """The note alone, on one page for paper."""
        caller, session_id = await self._caller(http), http.path_params["session_id"]
        if caller.request.claims is None:
            return self._sign_in_first()
        order = "soap" if http.query_params.get("order") == "soap" else "sbar"
        note = await caller.call("handover.getDocument", sessionId=session_id, format="html", order=order)
        found = await caller.call("intake.getSession", sessionId=session_id)
        patient = presenting.full_name(found["connection"]["patient"]["user"], "The patient")
        content = Markup(note["content"])  # noqa: S704 - clinical.rendering escapes every word
        return self._page("note.html", patient=patient, session_id=session_id, order=order, note=content)

    async def _act_on_case(
        self, http: HttpRequest, act: Callable[[Caller, str, Mapping[str, str]], Awaitable[None]]
    ) -> Response:
        caller, session_id = await self._caller(http), http.path_params["session_id"]
        try:
            await act(caller, session_id, await _fields(http))
        except (BadInput, Conflict) as refused:
            return await self._show_case(caller, session_id, problem=f"Nothing was changed. {refused}")
        return RedirectResponse(f"/doctor/case/{session_id}", 303)

    # -- the operator --------------------------------------------------------------------------------------

    async def ops(self, http: HttpRequest) -> Response:
        """What is well, what is waiting, whom to verify, and the accounts that were searched for."""
        caller = await self._caller(http)
        if caller.request.claims is None:
            return self._sign_in_first()
        return await self._show_ops(caller, search=clean(http.query_params.get("search", "")).strip())

    async def _show_ops(self, caller: Caller, *, search: str, problem: str = "") -> Response:
        doctors = await caller.call("admin.getPendingDoctors")
        found = await caller.call("admin.getUsers", search=search[:_LONGEST_SEARCH]) if search else None
        return self._page(
            "ops.html",
            readiness=await self._site.readiness(),
            queue=await self._site.queue(),
            stuck=await self._site.stuck_turns(),
            resting=await self._site.resting_sessions(),
            doctors=[
                {
                    "id": doctor["id"],
                    "name": presenting.doctor_name(doctor),
                    "about": presenting.doctor_about(doctor),
                }
                for doctor in doctors["doctors"]
            ],
            search=search,
            accounts=None if found is None else [presenting.account(user) for user in found["users"]],
            others=0 if found is None else found["total"] - len(found["users"]),
            problem=problem,
            status=400 if problem else 200,
        )

    async def verify(self, http: HttpRequest) -> Response:
        """Verify or reject a doctor."""
        caller, fields = await self._caller(http), await _fields(http)
        await caller.call("admin.verifyDoctor", doctorId=http.path_params["doctor_id"], action=fields.get("action", ""))
        return RedirectResponse("/ops", 303)

    async def account(self, http: HttpRequest) -> Response:
        """Close an account or open it again; it takes effect with the account's next request."""
        caller, fields = await self._caller(http), await _fields(http)
        search = fields.get("search", "")
        try:
            await caller.call(
                "admin.updateUserStatus",
                userId=http.path_params["user_id"],
                isActive=fields.get("action") == "open",
                reason=fields.get("reason", ""),
            )
        except BadInput as refused:
            return await self._show_ops(caller, search=search, problem=f"Nothing was changed. {refused}")
        return RedirectResponse(f"/ops?{urlencode({'search': search})}#accounts", 303)

    # -- answers -------------------------------------------------------------------------------------------

    async def _caller(self, http: HttpRequest) -> Caller:
        request = await self._site.request_of(http.scope)
        return Caller(self._site.registry, self._site.guard, request, self._site.observe)

    def _page(self, template: str, *, status: int = 200, **values: object) -> Response:
        body = self._templates.get_template(template).render(**values)
        return Response(body, status, media_type="text/html")

    def _sign_in_first(self) -> Response:
        lines = (
            ["You will come back here when you have signed in."]
            if self._site.sign_in_url
            else ["This is a demo clinic. Its sign-in links were printed where it was started."]
        )
        links = [("Sign in", self._site.sign_in_url)] if self._site.sign_in_url else []
        return self._page("message.html", title="Please sign in", lines=lines, links=links, reference="", status=401)

    async def no_such_page(self, _: HttpRequest, __: Exception) -> Response:
        """An address that leads nowhere."""
        lines = ["There is nothing at this address, or it is not yours to see."]
        return self._page(
            "message.html", title="Not found", lines=lines, links=[("Back", "/")], reference="", status=404
        )

    async def failed(self, http: HttpRequest, error: Exception) -> Response:
        """A refusal or a failure, in words: what happened, what was kept, what to do."""
        if isinstance(error, NotSignedIn):
            return self._sign_in_first()
        status = fault_of(error).status
        request = await self._site.request_of(http.scope)
        page = self._page(
            "message.html",
            title="This did not work",
            lines=[str(error)],
            links=[("Back", "/")],
            reference=request.request_id,
            status=status,
        )
        page.headers.update(retry_headers([error]))
        return page


async def _fields(http: HttpRequest) -> dict[str, str]:
    """A form's text fields, cleaned as every text from outside is."""
    async with http.form(max_files=0, max_fields=MAX_FORM_FIELDS) as form:
        return {name: clean(value) for name, value in form.items() if isinstance(value, str)}


def _in_words(refused: BadInput | TooManyRequests) -> str:
    """What is wrong with a form's files, for somebody who sees no field names."""
    if isinstance(refused, TooManyRequests):
        return str(refused)
    return " ".join(dict.fromkeys(issue.message for issue in refused.issues)) or str(refused)


_WORDS_WANTED: Final = "Please write a message of up to 5000 characters."
#: What goes with a file that is sent without words; the interview takes it for no answer.
PHOTO_ALONE: Final = "Photo"
_DOCUMENT_ALONE: Final = "Document"


def _shown_with(images: list[str]) -> dict[str, list[str]]:
    return {"images": images} if images else {}


def _message_of(fields: Mapping[str, str]) -> dict[str, str]:
    return {"content": fields.get("content", ""), "clientMessageId": fields.get("clientMessageId", "")}


def _stage(session: Mapping[str, Any]) -> str:
    """Where the interview stands, in the patient's words."""
    if session["status"] in ("ready", "reviewed"):
        return "Your doctor has your answers" if session["status"] == "ready" else "Your doctor has read your answers"
    return presenting.STAGES.get(session["currentAgent"], "")


def _asked_last(messages: Sequence[Mapping[str, Any]]) -> str:
    """The id of the question at the end of a conversation, or "" before the first answer and after an alarm."""
    last = messages[-1] if len(messages) > 1 else None
    return str(last["id"]) if last is not None and last["role"] == "model" and not last["isEmergency"] else ""


def _choices(messages: list[Mapping[str, Any]]) -> list[Mapping[str, str]]:
    """The answers offered under the last question, if it still waits for one."""
    return (messages[-1].get("choices") or []) if messages and messages[-1]["role"] == "model" else []
