"""What is known of a row, as lines of text. No text of a log is among them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def told(back: dict[str, Any], on: list[dict[str, Any]]) -> Iterator[str]:
    """The lines."""
    yield f"{back['column']} {back['id']}"
    yield from (f"  {key}: {value}" for key, value in back["about"].items())
    yield from (f"  {line}" for answer in back["answers"] for line in _answer(answer))
    yield from (f"  vote {_vote(vote)}" for vote in back["votes"])
    yield from _cleaning(back["cleaning"])
    for record in back["records"]:
        file = record["file"] or f"file {record['digest']} (not among the files of the last ingest)"
        yield f"  from {file}, record {record['record']}, position {record['position']}"
    yield from (f"  {_version(version)}" for version in on)


def _answer(answer: dict[str, Any]) -> Iterator[str]:
    parts = [f"{key} {answer[key]}" for key in ("response_id", "model", "written_by") if answer.get(key)]
    parts += [f"{answer[key]} {key}" for key in ("ups", "downs", "ratings") if answer.get(key)]
    parts += [f"in {', '.join(answer['turns'])}"] if answer.get("turns") else []
    yield f"{answer['side']}: {', '.join(parts) or 'made by an augmenter'}"


def _vote(vote: dict[str, Any]) -> str:
    said = vote["raw"] if vote["raw"] is not None else vote["value"]
    about = f"on {vote['response_id']}" if vote["response_id"] else f"{vote['better']} over {vote['worse']}"
    parts = [
        f"{vote['feedback_id']}: {vote['kind']}{'' if said is None else f' {said}'} {about}",
        f"by {vote['annotator_kind']} {vote['annotator'] or 'unknown'}",
        f"reliability {vote['reliability']:.3f}" if vote["reliability"] is not None else "",
        vote["created_at"] or "",
        f"from {vote['origin']}",
    ]
    return ", ".join(filter(None, parts))


def _cleaning(cleaning: dict[str, Any] | None) -> Iterator[str]:
    if cleaning is None:
        return
    redacted = ", ".join(f"{count} {kind}" for kind, count in cleaning["redacted"].items()) or "nothing"
    repaired = (
        "repairs unknown: the tables before redaction are not here" if cleaning["repaired"] is None else f"{cleaning['repaired']} repaired"
    )
    yield f"  cleaning, in {cleaning['messages']} messages: redacted {redacted}; {repaired}"


def _version(version: dict[str, Any]) -> str:
    if version["state"] != "holds it":
        return f"{version['version']}: its bytes are neither in the cache nor in a remote"
    models = f", models {', '.join(version['models'])}" if version["models"] else ""
    return f"in {version['version']}: {version['split']}{models}"
