"""Why a job failed, in words for its caller: our own messages, and nothing of how the server looks inside."""

from __future__ import annotations

from modelscope_i2v.errors import (
    CheckpointError,
    ConfigurationError,
    DeviceError,
    InputError,
    Interrupted,
    OutputError,
)
from modelscope_i2v.generation.argument_names import UnknownArgumentError
from modelscope_i2v.serving.jobs import CANCELLED, INTERNAL, JobError

NO_MODEL = 'The model cannot be loaded. The log of the server says why. Use another model, or tell whoever runs it.'
UNKNOWN = 'Something unexpected went wrong in the server. Its log says what. Other jobs are not affected.'


def failure(error: BaseException) -> JobError:
    """What the caller of a job learns about ``error``."""
    if isinstance(error, Interrupted):
        return JobError(CANCELLED, 'The job was cancelled.')
    if isinstance(error, (InputError, UnknownArgumentError)):
        return JobError('invalid_request', str(error))
    if isinstance(error, DeviceError):
        return JobError('device_error', str(error))
    if isinstance(error, (OutputError, OSError)):
        return JobError('storage_error', storage_message(error))
    if isinstance(error, (CheckpointError, ConfigurationError)):
        return JobError('model_error', NO_MODEL)
    return JobError(INTERNAL, UNKNOWN)


def storage_message(error: BaseException) -> str:
    """What to say of a file that could not be written, without its name."""
    reason = next(
        (each.strerror for each in (error, error.__cause__) if isinstance(each, OSError) and each.strerror),
        'the disk is full or write-protected',
    )
    return f'The server cannot store the video: {reason}. Try again later, or tell whoever runs it.'
