"""What the pool and its workers say to each other: JSON messages, each after its length.

JSON escapes lone surrogates and control characters, so that any text survives the journey, and
nothing that is read can name code to run.
"""

from __future__ import annotations

import json
import struct
from typing import Any, BinaryIO

from reghar.grading.outcome import Outcome
from reghar.grading.request import AnswerKind, Grade, GradeRequest

_LENGTH = struct.Struct(">I")


def write_message(stream: BinaryIO, message: Any) -> None:
    """Write one message and flush."""
    body = json.dumps(message, separators=(",", ":")).encode("ascii")
    rest = memoryview(_LENGTH.pack(len(body)) + body)
    while rest:
        rest = rest[stream.write(rest) :]
    stream.flush()


def read_message(stream: BinaryIO) -> Any:
    """Read one message; EOFError where the other side has gone."""
    (length,) = _LENGTH.unpack(_read_exactly(stream, _LENGTH.size))
    return json.loads(_read_exactly(stream, length))


def _read_exactly(stream: BinaryIO, size: int) -> bytes:
    data = b""
    while len(data) < size:  # an unbuffered pipe may give less than was asked for
        part = stream.read(size - len(data))
        if not part:
            raise EOFError
        data += part
    return data


def pack_request(request: GradeRequest) -> list[Any]:
    """The request as JSON values."""
    return [list(request.gold), request.answer, request.kind, request.tolerance, list(request.choices)]


def unpack_request(values: list[Any]) -> GradeRequest:
    """The inverse of `pack_request`."""
    gold, answer, kind, tolerance, choices = values
    return GradeRequest(
        gold=tuple(gold),
        answer=answer,
        kind=AnswerKind(kind),
        tolerance=tolerance,
        choices=tuple(choices),
    )


def pack_grade(verdict: Grade) -> list[str]:
    """The verdict as JSON values."""
    return [verdict.outcome, verdict.answer_parsed, verdict.gold_parsed, verdict.rule]


def unpack_grade(values: list[str]) -> Grade:
    """The inverse of `pack_grade`."""
    outcome, answer_parsed, gold_parsed, rule = values
    return Grade(outcome=Outcome(outcome), answer_parsed=answer_parsed, gold_parsed=gold_parsed, rule=rule)
