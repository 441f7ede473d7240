"""Stage 11: what was found, as the pages a person reads, and as tables.

`model` is what the pages show, `numbers` how a number is written, `titles` what a card may claim, `charts` draws, `tables`
writes CSV and Parquet, `pages` puts it together. The look is in `assets`, the order of things in `templates`.
"""

from lutra.report.write import write_report

__all__ = ["write_report"]
