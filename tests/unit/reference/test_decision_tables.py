"""Decision tables say what is wrong with them."""

from __future__ import annotations

from pathlib import Path

import pytest

from lutra.core.decision import Verdict
from lutra.core.errors import ProtocolError
from lutra.reference.decision_tables import parse_table, read_table, shipped_table, shipped_tables

HEAD = 'name = "own"\n[dosing]\nrecheck_days = 7\nstop_after_delay_days = 56\n'
RULE = '[[rule]]\nname = "low"\nfact = "platelets"\nverdict = "DELAY"\nsays = "wait"\nsource = "ours"\n'


def test_the_shipped_tables_can_be_read_and_every_rule_has_words_and_a_source() -> None:
    for name in shipped_tables():
        table = shipped_table(name)
        assert table.name == name
        assert all(rule.says and rule.source for rule in table.rules)


def test_severe_lymphopenia_alone_changes_nothing() -> None:
    assert "lymphocytes" not in {rule.fact for rule in shipped_table("label").rules}


def test_a_studys_own_table(tmp_path: Path) -> None:
    path = tmp_path / "rules.toml"
    path.write_text(HEAD + RULE + "below = 50.0\ndose_limiting = true\n")
    (rule,) = read_table(path).dose_limiting
    assert (rule.condition, rule.bound, rule.verdict) == ("below", 50.0, Verdict.DELAY)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (HEAD, "no rules"),
        (HEAD + RULE, "'low' has 0 conditions"),
        (HEAD + RULE + "below = 1.0\nabove = 2.0\n", "2 conditions"),
        (HEAD + RULE + "belwo = 1.0\n", "unknown key 'belwo'"),
        (HEAD + RULE.replace('source = "ours"\n', "") + "below = 1.0\n", "missing key 'source'"),
        (HEAD + RULE.replace("DELAY", "MAYBE") + "below = 1.0\n", "verdict 'MAYBE'"),
        (HEAD + 2 * (RULE + "below = 1.0\n"), "'low' more than once"),
        (RULE + "below = 1.0\n", "missing 'name'"),
        ("name = ", "not valid TOML"),
    ],
)
def test_what_is_wrong_is_said(text: str, words: str) -> None:
    with pytest.raises(ProtocolError, match=words):
        parse_table(text, "rules.toml")


def test_an_unknown_table_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ProtocolError, match="label"):
        shipped_table("lable")
    with pytest.raises(ProtocolError, match="no such decision table"):
        read_table(Path("nowhere.toml"))
