"""Every message of ours that a user can see, one per line with its place: python -m tests.messages"""

import ast
import sys
from pathlib import Path

import modelscope_i2v

PACKAGE = Path(modelscope_i2v.__file__).parent
#: Functions whose text reaches a user, beside errors.
SHOWN = {
    'warning', 'info', 'say', 'complain', 'add_argument', 'add_verb', 'option', 'Verb', 'add_parser', 'VerbParser',
    'error', 'exit',
}  # fmt: skip


def text_of(node):
    """The words of a string expression, with ``{...}`` for values."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return ''.join(text_of(part) if isinstance(part, ast.Constant) else '{...}' for part in node.values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return (text_of(node.left) or '{...}') + (text_of(node.right) or '{...}')
    return None


def parts(node):
    """Pieces of messages outside of calls: what is assigned to a name, returned, or a value of a table."""
    if isinstance(node, (ast.Assign, ast.AugAssign, ast.Return)) and node.value is not None:
        return [node.value.body, node.value.orelse] if isinstance(node.value, ast.IfExp) else [node.value]
    return node.values if isinstance(node, ast.Dict) else []


def name_of(function):
    return getattr(function, 'attr', getattr(function, 'id', ''))


def messages():
    """``(place, text)`` of all of them."""
    for path in sorted(PACKAGE.rglob('*.py')):
        for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
            for part in parts(node):
                text = text_of(part)
                if text and ' ' in text.strip() and text.rstrip().endswith('.'):
                    yield f'{path.relative_to(PACKAGE.parent)}:{part.lineno}', ' '.join(text.split())
            if not isinstance(node, ast.Call):
                continue
            name = name_of(node.func)
            if not (name in SHOWN or name.endswith('Error') or name == 'Interrupted'):
                continue
            for argument in [*node.args, *(keyword.value for keyword in node.keywords)]:
                text = text_of(argument)
                if text and ' ' in text.strip():
                    yield f'{path.relative_to(PACKAGE.parent)}:{argument.lineno}', ' '.join(text.split())


if __name__ == '__main__':
    for place, text in messages():
        sys.stdout.write(f'{place}: {text}\n')
