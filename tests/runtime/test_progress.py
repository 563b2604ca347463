"""Progress: bars for people, lines for files."""

import fcntl
import os
import pty
import struct
import sys
import termios

from modelscope_i2v.runtime.progress import progress_bar


def test_a_line_a_phase_where_nobody_watches(capsys):
    with progress_bar('Sampling', 50) as bar:
        for _ in range(50):
            bar.update()
    assert capsys.readouterr().err == 'Sampling (50)\n'


def test_silence(capsys):
    with progress_bar('Sampling', 50, show=False) as bar:
        bar.update(50)
    assert capsys.readouterr().err == ''


def test_a_bar_in_a_terminal(monkeypatch):
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack('HHHH', 24, 80, 0, 0))  # a new one has no columns
    os.set_blocking(ours, False)
    with os.fdopen(theirs, 'w') as terminal:
        monkeypatch.setattr(sys, 'stderr', terminal)
        with progress_bar('Sampling', 2) as bar:
            bar.update()
            bar.refresh()
        terminal.flush()
        said = os.read(ours, 10_000).decode()
    os.close(ours)
    assert 'Sampling: ' in said
    assert '%|' in said
    assert 'Sampling (2)' not in said
