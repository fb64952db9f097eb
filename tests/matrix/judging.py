"""Ask, compare with the oracle, and put back what was changed."""

from collections import Counter
from dataclasses import dataclass, field

from matrix.oracle import (
    ABSENT,
    ACTORS,
    OK,
    PAGES,
    ROADS,
    ROWS,
    STATES,
    TARGETS,
    expected,
    expected_page,
    is_stranger,
    may_read_messages,
    may_read_notes,
    may_read_words,
)
from matrix.world import TRANSPORTS, messages_of, notes_of, words_of


@dataclass
class Judge:
    """Counts what was asked and remembers what was answered wrongly."""

    world: object
    asked: Counter = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    absent: dict[tuple, tuple[int, str]] = field(default_factory=dict)

    async def procedure(self, who, name, transport, target=None, state="in_progress"):
        answer = await self.world.ask(who, transport, name, target, state)
        wanted, what = expected(who, name, target, state), f"{who} · {name} · {transport} · {target} · {state}"
        self._judge(who, answer, wanted, what)
        if target is not None and ROWS[name].about and self._is_hidden(who, name, target, answer):
            await self._compare((who, name, transport), answer, what, self.world.ask(who, transport, name))
        if answer.outcome == OK and self._writes(name):
            await self.world.put_back()
        self.asked[transport] += 1

    async def page(self, who, page, target=None, state="in_progress"):
        answer = await self.world.page(who, page, target, state)
        what = f"{who} · {' '.join(page)} · {target} · {state}"
        self._judge(who, answer, expected_page(who, page, target, state), what)
        if target is not None and "session_id" in page[1] and is_stranger(who, target) and answer.outcome == ABSENT:
            await self._compare((who, page), answer, what, self.world.page(who, page))
        if answer.outcome == OK and (page[0] == "POST" or "/s/" in page[1] or "/case/" in page[1]):
            await self.world.put_back()  # reading a conversation in a page marks it as read
        self.asked["page"] += 1

    async def road(self, who, road):
        """What is open to everybody says the same to everybody, and nothing of anybody."""
        method, body = ("POST", b"{}") if ROADS[road] == "UNSIGNED" else ("GET", None)
        status, text = await self.world.http(who, method, road, body=body)
        fine = {"UNSIGNED": (400, 503), ABSENT: (404,)}.get(ROADS[road], (200, 503))
        if status in fine:
            self._search(who, text, f"{who} · {road}")
        else:
            self.wrong.append(f"{who} · {road}: {status}")
        self.asked["road"] += 1

    def _is_hidden(self, who, name, target, answer):
        is_record = ROWS[name].about in ("session", "connection", "notification")
        return is_record and answer.outcome == ABSENT and (is_stranger(who, target) or ROWS[name].rule == "owner")

    async def _compare(self, key, answer, what, asking):
        """Whoever is told that there is nothing must be told so in the same words where there is nothing."""
        if key in self.absent:
            asking.close()
        else:
            nothing = await asking
            self.absent[key] = (nothing.status, nothing.text)
            self.asked["of nothing"] += 1
        if self.absent[key] != (answer.status, answer.text):
            self.wrong.append(f"{what}: differs from what does not exist: {_brief(answer)}")

    def _judge(self, who, answer, wanted, what):
        if answer.outcome not in wanted:
            kind = "WRONG ALLOW" if answer.outcome == OK else "wrong"
            self.wrong.append(f"{kind}: {what}: {answer.outcome}, not {'/'.join(sorted(wanted))}: {_brief(answer)}")
        self._search(who, answer.text, what)

    def _search(self, who, text, what):
        for target in TARGETS:
            marks = (
                (words_of(target), may_read_words),
                (messages_of(target), may_read_messages),
                (notes_of(target), may_read_notes),
            )
            for mark, may_read in marks:
                if mark in text and not may_read(who, target):
                    self.wrong.append(f"WRONG ALLOW: {what}: shows {mark} of {target}")

    def _writes(self, name):
        kind = self.world.procedures[name].kind
        return kind == "mutation" or ROWS[name].rule == "as a patient"  # the first makes the profile


def _brief(answer):
    return " ".join(answer.text[:200].split())


def transports_of(procedure):
    """A subscription is not called in a batch."""
    return ("trpc", "rest") if procedure.kind == "subscription" else TRANSPORTS


def nearest_target(who, number):
    """A target this actor has to do with, if there is one; else one by number."""
    own = [name for name, link in TARGETS.items() if who in (link.patient, link.doctor)]
    return (own or list(TARGETS))[number % len(own or TARGETS)]


async def each_once(judge):
    """Every actor × procedure, page and road once, the records, states and transports in turn."""
    number = 0
    for name in ROWS:
        transports = transports_of(judge.world.procedures[name])
        for who in ACTORS:
            number += 1
            target = nearest_target(who, number) if number % 3 else list(TARGETS)[number % len(TARGETS)]
            await judge.procedure(who, name, transports[number % len(transports)], target, STATES[number % 5])
    for page in PAGES:
        for who in ACTORS:
            number += 1
            await judge.page(who, page, nearest_target(who, number), STATES[number % 5])
    for road in ROADS:
        for who in ACTORS:
            await judge.road(who, road)


async def everything(judge):
    """The whole product: every actor × procedure × record × state × transport, every page, every road."""
    for name, row in ROWS.items():
        targets = (None, *TARGETS) if row.about else (None,)
        states = STATES if row.about == "session" else ("in_progress",)
        for target in targets:
            for state in states if target else ("in_progress",):
                for transport in transports_of(judge.world.procedures[name]):
                    for who in ACTORS:
                        await judge.procedure(who, name, transport, target, state)
    for page in PAGES:
        states = STATES if "session_id" in page[1] else ("in_progress",)
        for target in (None, *TARGETS):
            for state in states if target else ("in_progress",):
                for who in ACTORS:
                    await judge.page(who, page, target, state)
    for road in ROADS:
        for who in ACTORS:
            await judge.road(who, road)
