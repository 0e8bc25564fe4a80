"""The pages of a board besides its standings: what was not verified, history, how to read it, and
what is said of a submission in the report of its model.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from lm_eval_safescale.figures import DataColumn, DataTable, Value
from lm_eval_safescale.leaderboard.board.pages.links import ENTRY, FILE
from lm_eval_safescale.leaderboard.board.pages.tables import DEMO, SIGNS, level_of
from lm_eval_safescale.leaderboard.board.result import Board, Entry
from lm_eval_safescale.leaderboard.verify import Level, Verdicts
from lm_eval_safescale.sections import Page, Section
from lm_eval_safescale.sentences import capital
from lm_eval_safescale.words import counted

LONGEST = 400
"""Characters of a reason that are shown."""
MOST_REASONS = 20
"""Of a submission; all stand in the JSON of its verification."""
MOST_CHANGES = 2_000
"""That are shown; all stand in the feed."""
NOTED = "noted"
CARD_WORDS = {"parameters_b": "size in billions", "licence": "licence of the weights"}
LEVELS = {
    Level.RECOMPUTED: "every response was read again and every number computed again, from the "
    "texts that were handed in",
    Level.REPEATED: "and a sample of the items was asked again of the same model, which said the "
    "same",
    Level.BY_ORGANISER: "and the organiser of this board has made the answers",
}
FEEDS = {
    "board.csv": "a row for each submission, condition and metric: value, interval, rank",
    "board.json": "all of the board: submissions, reasons, ranks, fronts, gaps and history",
}


def not_verified(board: Board) -> Page:
    """Submissions without a number, each with its reasons."""
    entries = board.not_verified
    rows = [row for entry in entries for row in _reasons(entry)]
    refused = sum(entry.verdict is Verdicts.REFUSED for entry in entries)
    unknown = len(entries) - refused
    said = [f"{counted(refused, 'submission')} refused"] if refused else []
    said += [f"{counted(unknown, 'submission')} not verified: it cannot be told here"] * bool(
        unknown
    )
    section = Section(
        "Every reason",
        data=DataTable.of(
            [
                DataColumn("file"),
                DataColumn("model", "model, as claimed"),
                DataColumn("verdict"),
                DataColumn("where"),
                DataColumn("what"),
                DataColumn("expected"),
            ],
            rows,
        ),
        note=f"Of each submission the first {MOST_REASONS} reasons.",
    )
    return Page(
        "not-verified",
        "Not verified",
        ", ".join(said) or "Every submission was verified",
        "None of their numbers is shown: what cannot be recomputed is no result.",
        (section,) if rows else (),
    )


def _reasons(entry: Entry) -> Iterator[Mapping[str, Value]]:
    reasons = [each for each in entry.reasons if each.verdict != NOTED][:MOST_REASONS]
    shared = {
        "file": shortened(entry.file),
        "model": shortened(str(entry.card.get("name", ""))) or None,
        "verdict": entry.verdict.value,
    }
    for each in reasons:
        yield {
            **shared,
            "where": shortened(each.where),
            "what": shortened(each.what),
            "expected": shortened(each.expected) or None,
        }
    if not reasons:
        yield {**shared, "where": None, "what": None, "expected": None}


def history(board: Board) -> Page:
    """What each build changed, and why."""
    of_label: dict[str, list[str]] = {}
    for entry in board.verified:
        of_label.setdefault(entry.label, []).append(entry.slug)
    pages = {label: slugs[0] for label, slugs in of_label.items() if len(slugs) == 1}
    rows: list[dict[str, Value]] = []
    links: list[dict[str, str]] = []
    for build in board.history:
        for change in build.changes:
            rows.append(
                {
                    "at": build.at[:16].replace("T", " "),
                    "kind": change.kind,
                    "model": shortened(change.label),
                    "said": shortened(change.said),
                    "why": shortened(change.why) or None,
                    "version": build.version,
                    "verified": build.verified,
                    "entries": build.entries,
                }
            )
            links.append({ENTRY: pages[change.label]} if change.label in pages else {})
    last = board.history[0] if board.history else None
    return Page(
        "history",
        "History",
        f"The last build that changed anything: {counted(len(last.changes), 'change')}, "
        f"{last.at[:10]}"
        if last
        else "Nothing has been built before",
        f"{counted(last.verified, 'submission')} verified of {last.entries:,}; "
        f"{counted(len(board.history), 'build')} in all that changed something."
        if last
        else "",
        (
            Section(
                "What changed, and why",
                lead="" if len(rows) <= MOST_CHANGES else f"The last {MOST_CHANGES:,} changes.",
                data=DataTable.of(
                    (
                        DataColumn("at", "built (UTC)"),
                        DataColumn("kind", "change"),
                        DataColumn("model", cases={}),
                        DataColumn("said", "what"),
                        DataColumn("why"),
                        DataColumn("version"),
                        DataColumn("verified", kind="count"),
                        DataColumn("entries", "submissions", "count"),
                    ),
                    rows[:MOST_CHANGES],
                    links[:MOST_CHANGES],
                ),
            ),
        )
        if rows
        else (),
    )


def reading(board: Board) -> Page:
    """How a board is read, and what it rests on."""
    files = DataTable.of(
        (DataColumn("file", cases={}), DataColumn("holds")),
        [{"file": name, "holds": said} for name, said in FEEDS.items()],
        [{FILE: name} for name in FEEDS],
    )
    return Page(
        "reading",
        "How to read it",
        "Every number was computed here from the texts that were handed in",
        "What cannot be computed again is called a claim: cards, attempts, dates, sizes, settings.",
        (
            Section(
                "How far a submission is verified",
                columns=("level", "what it means"),
                rows=tuple((f"{SIGNS[level]} {level.value}", LEVELS[level]) for level in Level),
                note="That the named model wrote the texts is shown by the last two alone, by a "
                "sample for what was asked again. Attempts are counted by who submits: of many, "
                "the best looks better than it is.",
            ),
            Section(
                "Ranks",
                lead="1 is the best. A rank is 1 more than the number of submissions that are "
                "better beyond chance, on the same items: those that cannot be told apart share "
                "one. The interval below holds the true rank; with 95 % probability all of a "
                "column do. Where many share a rank, the items are too few to tell more.",
            ),
            Section(
                "The front",
                lead="A submission is on the front of two metrics if no other is at least as good "
                "in both and better in one. It says nothing of chance: look at the intervals.",
            ),
            Section(
                "Open and held-out items",
                lead="The organiser may hold out a list of items. A model that has seen the open "
                "ones before is better on them: the gap between both, less that of the others, is "
                "tested, one-sided, adjusted over the submissions (Holm).",
            ),
            Section(
                "Disputed items",
                lead="Items whose key or labels somebody doubts stay in every figure; where the "
                "organiser names them, headlines stand with and without them.",
            ),
            Section("The same as data", data=files),
            Section("What it rests on", columns=("what", "value"), rows=tuple(_about(board))),
        ),
    )


def submission(entry: Entry) -> Page:
    """What was verified of a submission, what is claimed, and what cannot be shown."""
    card = entry.card
    facts = [
        ("Verified", level_of(entry)),
        ("Root hash", entry.root),
        ("SHA-256 of the archive", entry.sha256),
        ("Answers", f"{entry.answers:,}"),
        ("K", ", ".join(f"{name} {k}" for name, k in entry.draws.items())),
        (
            "Subsets",
            ", ".join(f"{name}: {n:,} of {of:,} items" for name, (n, of) in entry.subsets.items()),
        ),
        ("Judged by", entry.judge),
        ("Data", DEMO if entry.demo else ""),
    ]
    claims = [
        (capital(CARD_WORDS.get(name, name.replace("_", " "))), _plain(value))
        for name, value in card.items()
    ] + [
        ("Made by", entry.made_by),
        ("Answered", entry.made_at),
    ]
    noted = [
        (shortened(each.where), shortened(each.what))
        for each in entry.reasons
        if each.verdict == NOTED
    ]
    attempts = "" if entry.attempts is None else f", {counted(entry.attempts, 'attempt')} claimed"
    return Page(
        "submission",
        "Submission",
        f"{card.get('name', entry.file)}: {entry.level or entry.verdict}{attempts}",
        "Numbers were computed here from the texts that were handed in; the rest is claimed.",
        (
            _told("What was verified", facts),
            _told("What its author says", claims, "Claims: nothing here can check them."),
            Section("What cannot be shown", columns=("no.", "what"), rows=_rows(entry.not_shown)),
            *(
                (
                    Section(
                        "What its answers lack", columns=("no.", "what"), rows=_rows(entry.lacks)
                    ),
                )
                if entry.lacks
                else ()
            ),
            *((_told("Remarks", noted),) if noted else ()),
        ),
    )


def _told(title: str, rows: list[tuple[str, str]], note: str = "") -> Section:
    shown = tuple((name, value) for name, value in rows if value)
    return Section(title, columns=("what", "value"), rows=shown, note=note)


def _rows(told: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    return tuple((str(number), capital(each)) for number, each in enumerate(told, 1))


def _about(board: Board) -> Iterator[tuple[str, str]]:
    """What a board rests on; of lists of items only how many they are of."""
    about = board.about
    yield "Version", f"lm_eval_safescale {about.get('version', '')}"
    yield "Preset of intervals", str(about.get("preset", ""))
    if held_out := about.get("held_out"):
        yield "Held-out items", counted(held_out["items"], "item")
    if disputed := about.get("disputed"):
        yield "Disputed items", counted(len(disputed["items"]), "item")
    for digest in about.get("contexts", ()):
        yield "Contexts built ahead", f"SHA-256 {digest}"


def _plain(value: str | float | None) -> str:
    """An entry of a card as text."""
    if value is None:
        return "not disclosed"
    return value if isinstance(value, str) else f"{value:,}"


def shortened(text: str) -> str:
    """What stands in a cell, however long it is."""
    return text if len(text) <= LONGEST else f"{text[:LONGEST]} …"
