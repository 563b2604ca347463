"""Write the tables of arguments in docs/guide.md from the argument dataclasses.

python -m tests.argument_tables

If several stages do the same task, the tables of all but the first have only what differs from it.
"""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

from modelscope_i2v.stage import Stage, stage_of, stages

GUIDE = Path(__file__).parents[1] / 'docs' / 'guide.md'


def table(stage: Stage) -> str:
    """A Markdown table of the arguments of a call of ``stage``."""
    first = stage_of(stage.task)
    if stage is not first:
        shared = rows(first)
        return '\n'.join(row for index, row in enumerate(rows(stage)) if index < 2 or row not in shared)
    solvers = ', '.join(f'`{name!r}` {sampler.steps}' for name, sampler in stage.samplers.items())
    return '\n'.join([*rows(stage), '', f'Solvers and the steps each takes by default: {solvers}.'])


def rows(stage: Stage) -> list[str]:
    """The head of a table, and one row per argument of ``stage``."""
    lines = ['| argument | default | meaning |', '|---|---|---|']
    for item in dataclasses.fields(stage.arguments):
        choices = item.metadata['choices']
        said = f' ({", ".join(f"`{choice!r}`" for choice in choices)})' if choices else ''
        shown = item.metadata['default']
        shown = re.sub(r'--([a-z-]+)', lambda option: f'`{option[1].replace("-", "_")}`', shown)
        default = f'`{item.default!r}`' if shown == str(item.default) else shown
        lines.append(f'| `{item.name}` | {default} | {item.metadata["help"]}{said} |')
    return lines


def with_tables(text: str) -> str:
    """``text`` with the tables of today between its markers."""
    for stage in stages():
        marked = re.compile(rf'(<!-- arguments: {stage.name} -->\n).*?(<!-- end -->)', re.DOTALL)
        text = marked.sub(lambda found, stage=stage: f'{found[1]}\n{table(stage)}\n\n{found[2]}', text)
    return text


if __name__ == '__main__':
    GUIDE.write_text(with_tables(GUIDE.read_text(encoding='utf-8')), encoding='utf-8')
