"""`filmgate import`: moves in what another gateway holds, and says line by line what becomes of it."""

import json
import os
from collections import Counter
from collections.abc import Sequence
from typing import Annotated, Any, get_args

import typer
from rich.markup import escape

from app.cli.arguments import read_text, read_variable
from app.cli.languages import LanguageOption, chosen_language
from app.cli.output import err, out, plain_table
from app.cli.store_access import with_store
from app.components import Components
from app.errors import InvalidRequest
from app.moving.carrying import MoveLine, Outcome, carry_over
from app.moving.deployments import PeerSecrets
from app.moving.plan import PEERS, Remark
from app.moving.reading import read_plan
from app.moving.words import KINDS, OUTCOMES, REMARKS, SENTENCES, Language

COLOURS = {"would_add": "green", "added": "green", "there": "dim", "kept": "yellow", "left_out": "yellow"}
ENVIRONMENT = "env:"
OWN_VARIABLES = "FILMGATE_"
DEFAULT_SLOTS = 5


Place = Annotated[
    str,
    typer.Argument(
        metavar="PLACE",
        help="Its database (a SQLite file, postgresql://…, mysql://…) or an export; env:NAME: the variable that holds it.",
    ),
]
SaltKey = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="The variable with LiteLLM's salt key, which opens its database."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON: a row for each line, and the new secrets.")]


def import_gateway(
    place: Place,
    *,
    source: Annotated[str, typer.Option("--from", metavar="GATEWAY", help=f"{', '.join(PEERS)}.")],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would become of each line.")
    ] = False,
    slots: Annotated[
        int, typer.Option(min=1, max=1000, help="Tasks of one kind at the same time, for each account.")
    ] = DEFAULT_SLOTS,
    key_from_env: SaltKey = None,
    lang: LanguageOption = None,
    as_json: AsJson = False,
) -> None:
    """Move in from new-api, one-api, sora2api or LiteLLM. What is here already stays as it is; it may be run again."""
    peer = next((name for name in PEERS if name == source), None)
    if peer is None:
        raise InvalidRequest(f"--from must be one of {', '.join(PEERS)}")
    language = chosen_language(lang)
    salt_key = read_variable(key_from_env, option="--key-from-env") if key_from_env else ""
    where = place
    if place.startswith(ENVIRONMENT):
        where = read_variable(place.removeprefix(ENVIRONMENT), option="PLACE")
    # A configuration of others is never given our own secrets.
    foreign = {name: value for name, value in os.environ.items() if not name.startswith(OWN_VARIABLES)}
    secrets = PeerSecrets(salt_key, variables=foreign)
    lines: list[MoveLine] = []

    async def move_in(components: Components) -> None:
        parts = await read_plan(
            peer,
            where,
            read_file=lambda path: read_text(path, option="PLACE"),
            secrets=secrets,
            slots=slots,
        )
        await carry_over(components, parts, lines, dry_run=dry_run)

    try:
        with_store(move_in)
    finally:  # a new secret can't be read again, whatever happens to the lines behind it
        if lines:
            print_lines(lines, language, as_json=as_json, dry_run=dry_run)


def print_lines(lines: Sequence[MoveLine], language: Language, *, as_json: bool, dry_run: bool) -> None:
    """The lines, how many there are of each outcome, and the new secrets."""
    counted = Counter(line.outcome for line in lines)
    counts = {outcome: counted[outcome] for outcome in get_args(Outcome)}
    summary = SENTENCES[language]["dry_counts" if dry_run else "counts"].format(**counts)
    made = [line for line in lines if line.secret]
    if as_json:
        rows = [_as_object(line, language) for line in lines]
        secrets = [{"key": line.here, "secret": line.secret} for line in made]
        print(
            json.dumps({"rows": rows, "secrets": secrets, "lines": [summary]}, ensure_ascii=False, indent=2)
        )
        return
    _print_table(lines, language)
    out.print(escape(summary), soft_wrap=True)
    if made:
        err.print(f"[bold]{escape(SENTENCES[language]['secrets'])}[/]", soft_wrap=True)
        for line in made:
            print(f"{line.here}\t{line.secret}")


def _print_table(lines: Sequence[MoveLine], language: Language) -> None:
    table = plain_table("kind", "there", "becomes", "here", "why")
    table.show_header = False
    for line in lines:
        outcome = f"[{COLOURS[line.outcome]}]{OUTCOMES[language][line.outcome]}[/]"
        here = "" if line.here == line.there else line.here
        why = _told(line.remarks, language)
        table.add_row(KINDS[language][line.kind], escape(line.there), outcome, escape(here), escape(why))
    out.print(table)


def _told(remarks: Sequence[Remark], language: Language) -> str:
    sentences = [REMARKS[language][each.word].format(**each.values) for each in remarks]
    return SENTENCES[language]["separator"].join(sentences)


def _as_object(line: MoveLine, language: Language) -> dict[str, Any]:
    """``outcome`` and ``reasons`` are the same in every language."""
    return {
        "kind": line.kind,
        "there": line.there,
        "here": line.here,
        "outcome": line.outcome,
        "reasons": [each.word for each in line.remarks],
        "why": _told(line.remarks, language),
    }
