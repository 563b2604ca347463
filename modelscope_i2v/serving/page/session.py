"""What the server knows of one open page."""

from __future__ import annotations

from dataclasses import dataclass, field

from modelscope_i2v.serving.jobs import JobError
from modelscope_i2v.serving.page.texts import DEFAULT

#: Videos in the gallery.
MOST_MADE = 24


@dataclass
class Session:
    """One open page. Its handlers change it.

    Attributes:
        language: a key of the texts.
        runs: step -> the ids of the jobs that it shows.
        errors: step -> why its last request was refused: an error of the engine, or a key of the texts; None: it was
            not.
        made: ids of the completed jobs of this browser, newest first.
        source: id of the job whose video step 2 makes larger.
        uploads: id of a job -> address of the video that its user gave.
    """

    language: str = DEFAULT
    runs: dict[int, tuple[str, ...]] = field(default_factory=lambda: {1: (), 2: ()})
    errors: dict[int, JobError | str | None] = field(default_factory=lambda: {1: None, 2: None})
    made: list[str] = field(default_factory=list)
    source: str | None = None
    uploads: dict[str, str] = field(default_factory=dict)

    def add(self, job_id: str) -> None:
        """A job of this page is completed."""
        if job_id not in self.made:
            self.made = [job_id, *self.made][:MOST_MADE]

    @property
    def kept(self) -> list[str]:
        """What the browser remembers: the jobs of the gallery, and those that it waits for."""
        return list(dict.fromkeys([*self.runs[1], *self.runs[2], *self.made]))
