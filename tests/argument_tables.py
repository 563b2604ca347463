"""Write the tables of arguments in docs/guide.md from the argument dataclasses.

python -m tests.argument_tables
"""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

from modelscope_i2v.stage import Stage, stages

GUIDE = Path(__file__).parents[1] / 'docs' / 'guide.md'


def table(stage: Stage) -> str:
    """A Markdown table with one row per argument of a call of ``stage``."""
    rows = ['| argument | default | meaning |', '|---|---|---|']
    for item in dataclasses.fields(stage.arguments):
        choices = item.metadata['choices']
        said = f' ({", ".join(f"`{choice!r}`" for choice in choices)})' if choices else ''
        shown = item.metadata['default']
        shown = re.sub(r'--([a-z-]+)', lambda option: f'`{option[1].replace("-", "_")}`', shown)
        default = f'`{item.default!r}`' if shown == str(item.default) else shown
        rows.append(f'| `{item.name}` | {default} | {item.metadata["help"]}{said} |')
    solvers = ', '.join(f'`{name!r}` {sampler.steps}' for name, sampler in stage.samplers.items())
    return '\n'.join([*rows, '', f'Solvers and the steps each takes by default: {solvers}.'])


def with_tables(text: str) -> str:
    """``text`` with the tables of today between its markers."""
    for stage in stages():
        marked = re.compile(rf'(<!-- arguments: {stage.task} -->\n).*?(<!-- end -->)', re.DOTALL)
        text = marked.sub(lambda found, stage=stage: f'{found[1]}\n{table(stage)}\n\n{found[2]}', text)
    return text


if __name__ == '__main__':
    GUIDE.write_text(with_tables(GUIDE.read_text(encoding='utf-8')), encoding='utf-8')
