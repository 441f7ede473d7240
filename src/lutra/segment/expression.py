"""Expressions over regions, as a protocol writes them: `liver - lesions`, `("left lung" + "right lung") & body`.

Names are words, or any text in single or double quotes; `&` binds closer than `+` and `-`, which are read from the left;
parentheses group. Nothing else is understood, and nothing is executed.
"""

from __future__ import annotations

import re

from attrs import frozen

from lutra.core.errors import ProtocolError

TOKEN = re.compile(r"""\s*(?:(?P<quoted>"[^"]+"|'[^']+')|(?P<word>\w[\w.]*)|(?P<sign>[-−+&()]))""")
SHOWN = {"-": "−", "+": "+", "&": "∩"}
DEEPEST = 50
"""Parentheses within parentheses that are read."""


@frozen
class Name:
    """A region, or a group of them."""

    text: str


@frozen
class Combined:
    """Two parts and what is done with them: `+` union, `&` intersection, `-` difference."""

    sign: str
    left: Expression
    right: Expression


Expression = Name | Combined


def parse(text: str) -> Expression:
    """Read an expression.

    Raises
    ------
    ProtocolError
        If it is none, naming the place.
    """
    tokens = _tokens(text)
    expression, rest = _sum(tokens, text, 0)
    if rest:
        raise _wrong(text, f"“{rest[0]}” where the end or one of + - & is expected")
    return expression


def names_in(expression: Expression) -> tuple[str, ...]:
    """Names in the order they are written, each once."""
    if isinstance(expression, Name):
        return (expression.text,)
    return tuple(dict.fromkeys(names_in(expression.left) + names_in(expression.right)))


def written(expression: Expression, named: dict[str, str] | None = None) -> str:
    """Write an expression out, with the names that others stand for in their place."""
    if isinstance(expression, Name):
        return (named or {}).get(expression.text, f"“{expression.text}”")
    right = written(expression.right, named)
    if isinstance(expression.right, Combined):
        right = f"({right})"
    left = written(expression.left, named)
    if isinstance(expression.left, Combined) and expression.sign == "&" and expression.left.sign != "&":
        left = f"({left})"
    return f"{left} {SHOWN[expression.sign]} {right}"


def _tokens(text: str) -> list[str]:
    tokens, at = [], 0
    while text[at:].strip():
        found = TOKEN.match(text, at)
        if found is None:
            raise _wrong(text, f"“{text[at:].strip()}” is neither a name nor one of + - & ( )")
        tokens.append(found.group().strip().replace("−", "-"))
        at = found.end()
    return tokens


def _sum(tokens: list[str], text: str, depth: int) -> tuple[Expression, list[str]]:
    left, rest = _product(tokens, text, depth)
    while rest and rest[0] in ("+", "-"):
        sign = rest[0]
        right, rest = _product(rest[1:], text, depth)
        left = Combined(sign, left, right)
    return left, rest


def _product(tokens: list[str], text: str, depth: int) -> tuple[Expression, list[str]]:
    left, rest = _part(tokens, text, depth)
    while rest and rest[0] == "&":
        right, rest = _part(rest[1:], text, depth)
        left = Combined("&", left, right)
    return left, rest


def _part(tokens: list[str], text: str, depth: int) -> tuple[Expression, list[str]]:
    if not tokens or tokens[0] in "+-&)":
        raise _wrong(text, f"{f'“{tokens[0]}”' if tokens else 'the end'} where a name is expected")
    if tokens[0] != "(":
        return Name(tokens[0].strip("\"'")), tokens[1:]
    if depth == DEEPEST:
        raise _wrong(text, f"more than {DEEPEST} parentheses within each other")
    inner, rest = _sum(tokens[1:], text, depth + 1)
    if not rest or rest[0] != ")":
        raise _wrong(text, "a parenthesis that is not closed")
    return inner, rest[1:]


def _wrong(text: str, found: str) -> ProtocolError:
    return ProtocolError(
        f"“{text}”: {found}",
        where="protocol.toml, segment.algebra",
        required="names (in quotes if of several words), + - & and parentheses, such as 'liver - \"old scar\"'",
        do="correct it",
    )
