"""Why a job failed, in words for its caller: our own messages, and nothing of how the server looks inside."""

from __future__ import annotations

from modelscope_i2v.errors import (
    CheckpointError,
    ConfigurationError,
    DeviceError,
    InputError,
    Interrupted,
)
from modelscope_i2v.generation.argument_names import UnknownArgumentError
from modelscope_i2v.serving.jobs import (
    CANCELLED,
    INTERNAL,
    ClosedError,
    JobError,
    NotFinishedError,
    QueueFullError,
    TooLargeError,
    UnknownJobError,
    UnknownModelError,
    UnreadableError,
)

NO_MODEL = 'The model cannot be loaded. The log of the server says why. Use another model, or tell whoever runs it.'
UNKNOWN = 'Something unexpected went wrong in the server. Its log says what. Other jobs are not affected.'


#: Code of each error of ours; the first class that fits counts.
CODES: tuple[tuple[type[Exception], str], ...] = (
    (Interrupted, CANCELLED),
    (UnknownJobError, 'video_not_found'),
    (UnknownModelError, 'model_not_found'),
    (NotFinishedError, 'video_not_ready'),
    (QueueFullError, 'queue_full'),
    (TooLargeError, 'too_large'),
    (UnreadableError, 'unreadable_input'),
    (UnknownArgumentError, 'unknown_argument'),
    (InputError, 'invalid_request'),
    (DeviceError, 'device_error'),
    (ClosedError, 'shutting_down'),
    (OSError, 'storage_error'),
    (CheckpointError, 'model_error'),
    (ConfigurationError, 'model_error'),
    (Exception, INTERNAL),
)
#: Messages that are not those of the error.
_SAID = {CANCELLED: 'The job was cancelled.', 'model_error': NO_MODEL, INTERNAL: UNKNOWN}


def failure(error: BaseException) -> JobError:
    """What the caller of a job learns about ``error``."""
    code = next((code for kind, code in CODES if isinstance(error, kind)), INTERNAL)
    said = storage_message(error) if code == 'storage_error' else str(error)
    return JobError(code, _SAID.get(code, said))


def storage_message(error: BaseException) -> str:
    """What to say of a file that could not be written, without its name."""
    reason = next(
        (each.strerror for each in (error, error.__cause__) if isinstance(each, OSError) and each.strerror),
        'the disk is full or write-protected',
    )
    return f'The server cannot store the video: {reason}. Try again later, or tell whoever runs it.'
