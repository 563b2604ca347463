"""What the page says: one table per language, with the same keys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from modelscope_i2v.serving.page.texts.chinese import CHINESE
from modelscope_i2v.serving.page.texts.english import ENGLISH

#: Language code -> its texts.
TEXTS: Mapping[str, Mapping[str, str]] = {'en': ENGLISH, 'zh': CHINESE}
#: Language code -> how the language calls itself.
NAMES: Mapping[str, str] = {'en': 'English', 'zh': '中文'}
DEFAULT = 'en'


def say(language: str, key: str, **values: Any) -> str:
    """The text ``key`` in a language, with ``values`` in its places."""
    return TEXTS[language][key].format(**values)


def preferred(accept_language: str | None) -> str:
    """The first language of an ``Accept-Language`` header that there is, else English."""
    for part in (accept_language or '').split(','):
        code = part.partition(';')[0].partition('-')[0].strip().lower()
        if code in TEXTS:
            return code
    return DEFAULT
