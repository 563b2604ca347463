"""From a hub id to a folder that can be loaded: only what the task needs, verified, and nothing twice."""

from __future__ import annotations

import errno
import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from modelscope_i2v.configuration_file import FILE_NAME
from modelscope_i2v.errors import CheckpointError, ModelScopeI2VError, OutputError
from modelscope_i2v.files import output_errors
from modelscope_i2v.hub.reuse import link_twin
from modelscope_i2v.hub.snapshots import DEFAULT_REVISION, cached_snapshot, needed_files, snapshot_folder
from modelscope_i2v.hub.verified import changed_since_verified, has_record, has_verified, record_verified, was_branch

logger = logging.getLogger(__name__)

#: Revisions that move, whatever the hub says; of others it is asked whether they are branches.
BRANCHES = (DEFAULT_REVISION, 'main')
#: Beside the snapshots: files that are on their way, and the lock of a revision.
STAGING = '.modelscope_i2v'
#: What a full or protected disk says.
_DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM)

#: Path -> size and SHA-256 (None where the hub does not say) of the files of a revision.
Listing = Mapping[str, tuple[int, 'str | None']]


def fetch_snapshot(
    model: str, revision: str | None = None, *, offline: bool = False, configuration_only: bool = False
) -> Path:
    """The folder of a revision of ``owner/name``, with its configuration and the weights that this names.

    A tag that is there and verified costs no request. For a branch, or without a revision, the hub is asked what is
    new; if that fails, what is there is used, with a warning. So is, if the hub cannot be reached or nothing can be
    written, what ModelScope's own client put there.

    Args:
        configuration_only: get no weights yet, so that what they would not fit is found before gigabytes; the
            folder may be another one then.

    Raises:
        CheckpointError: if the model cannot be downloaded, or is not in the cache when ``offline``.
        ConfigurationError: if its configuration cannot be used. OutputError: if it cannot be written.
        InputError: for what can be no revision.
    """
    folder = snapshot_folder(model, revision)
    if offline:
        return cached_snapshot(model, revision, configuration_only=configuration_only)
    moves = revision is None or revision in BRANCHES or was_branch(folder)
    if not moves and _is_whole(folder, configuration_only):
        return folder
    try:
        return _update(model, revision or DEFAULT_REVISION, folder, configuration_only)
    except Exception as error:  # the client's errors have no common base, neither within nor across its versions
        if moves and _is_whole(folder, configuration_only):
            logger.warning("What is new of '%s' could not be had (%s); using '%s'.", model, error, folder)
            return folder
        ours = isinstance(error, ModelScopeI2VError)
        unreachable = not ours and _status(error) is None and not _failed_files(error)
        if (unreachable or isinstance(error, OutputError)) and _is_cached(model, revision, folder):
            logger.warning("'%s' could not be verified (%s); using it as it is.", folder, error)
            return folder
        if ours:
            raise
        raise _explained(model, revision, folder, error) from error


def _is_whole(folder: Path, configuration_only: bool = False) -> bool:
    """Whether all that is needed is there and verified; ``configuration_only``: whether that is."""
    try:
        return not changed_since_verified(folder, needed_files(folder, configuration_only=configuration_only))
    except ModelScopeI2VError:
        return False


def _is_cached(model: str, revision: str | None, folder: Path) -> bool:
    """Whether another client left all files of a revision, so far as can be told without the hub."""
    try:
        return not has_record(folder) and cached_snapshot(model, revision) == folder
    except ModelScopeI2VError:
        return False


def _update(model: str, revision: str, folder: Path, configuration_only: bool) -> Path:
    """Make ``folder`` what the hub has; until all of it is there and verified it stays as it was.

    Returns:
        ``folder``, or where its new configuration is until the weights have come.
    """
    staging = folder.parents[len(Path(revision).parts)] / STAGING / revision
    with _locked(staging):
        api, listing = _listing(model, revision)
        _get(api, model, revision, folder, staging, listing, [FILE_NAME])
        current = staging if (staging / FILE_NAME).exists() else folder
        names = needed_files(current)
        if configuration_only:
            return current
        _get(api, model, revision, folder, staging, listing, names[1:])
        branch = revision in BRANCHES or revision in _revisions(model)[0]
        if not has_record(folder):
            record_verified(folder, {}, branch=branch)  # what another client left is not taken as it is any more
        with output_errors(folder):
            for name in reversed(names):  # the configuration last
                if (staging / name).exists():
                    (folder / name).parent.mkdir(parents=True, exist_ok=True)
                    (staging / name).replace(folder / name)
                    # Two names of one file: replacing one by the other changes nothing.
                    (staging / name).unlink(missing_ok=True)
        record_verified(folder, {name: listing[name][1] for name in names}, branch=branch)
    return folder


@contextmanager
def _locked(staging: Path) -> Iterator[None]:
    """Keep other processes from the same revision; the second finds everything done."""
    with output_errors(staging):
        staging.mkdir(parents=True, exist_ok=True)
        lock = FileLock(staging.with_name(f'{staging.name}.lock'))
        try:
            lock.acquire(timeout=1)
        except Timeout:
            logger.warning("Another process is downloading to '%s'; waiting for it.", staging)
            lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _listing(model: str, revision: str) -> tuple[Any, Listing]:
    """A client for the endpoint that has the model, and the files of a revision."""
    from modelscope_hub.api import HubApi

    api = HubApi()
    api = HubApi(endpoint=api.resolve_endpoint_for_read(model, repo_type='model'))
    files = api.list_repo_files(model, 'model', revision=revision)
    return api, {file.path: (file.size, file.sha256) for file in files if not file.is_dir}


def _get(api: Any, model: str, revision: str, folder: Path, staging: Path, listing: Listing, names: list[str]) -> None:
    """Have in ``staging``, verified by size and hash, what of ``names`` is not in ``folder`` as it is listed."""
    missing = [name for name in names if name not in listing]
    if missing:
        because = '' if missing == [FILE_NAME] else f", which its '{FILE_NAME}' names"
        raise CheckpointError(
            f"Revision '{revision}' of '{model}' has no {', '.join(missing)}{because}. Take another revision, or tell "
            "the model's owner."
        )
    wanted = [name for name in names if not has_verified(folder, name, *listing[name])]
    for name in names:
        if name not in wanted:
            (staging / name).unlink(missing_ok=True)  # of an update that was overtaken
        elif not (staging / name).exists():
            link_twin(staging / name, name, *listing[name])
    if wanted:
        files = [{'Path': name, 'Size': listing[name][0], 'Sha256': listing[name][1]} for name in wanted]
        _download(api, model, revision, staging, files)


def _download(api: Any, model: str, revision: str, staging: Path, files: list[dict[str, Any]]) -> None:
    """Download ``files``, however long that takes: the client stops after an hour and, called again, goes on."""
    from modelscope_hub.constants import DOWNLOAD_TOTAL_TIMEOUT

    while True:
        started, before = time.monotonic(), _size(staging)
        try:
            api.download_repo(model, 'model', revision=revision, local_dir=staging, file_list=files)
            return
        except Exception:  # the client's errors have no common base; what was no timeout with progress is raised again
            if time.monotonic() - started < DOWNLOAD_TOTAL_TIMEOUT or _size(staging) <= before:
                raise
        logger.warning("The download of '%s' is slow; going on.", model)


def _size(folder: Path) -> int:
    """Bytes of all files in ``folder``."""
    return sum(path.stat().st_size for path in folder.rglob('*') if path.is_file())


def _explained(model: str, revision: str | None, folder: Path, error: Exception) -> ModelScopeI2VError:
    """What the client raised, in words that help."""
    failed = _failed_files(error)
    causes = [cause for raised in (error, *failed.values()) for cause in _chain(raised)]
    if any(getattr(cause, 'errno', None) in _DISK_ERRORS for cause in causes):
        reasons = '; '.join(str(cause) for cause in failed.values()) or str(error)
        return OutputError(
            f"'{folder}' cannot be written: {reasons}. Check the free space and the permissions, or set "
            'MODELSCOPE_CACHE to another folder.'
        )
    named = f"'{model}'" + (f" (revision '{revision}')" if revision else '')
    details = ''.join(f' {name}: {str(reason).rstrip(".")}.' for name, reason in failed.items())
    summary = str(error).partition('\n')[0].rstrip('.:')  # the client repeats the details below it
    status = _status(error)
    known = ', '.join(name for names in _revisions(model) for name in names) if status == 404 else ''
    if known:
        advice = f'Its revisions are {known}.'
    elif status is not None and status >= 500:
        advice = 'That is a problem of the hub: try again later.'
    else:
        advice = 'Check the id, the revision and the network, and try again.'
    with suppress(ModelScopeI2VError):
        cached = cached_snapshot(model, revision)
        if cached == folder:
            state = 'not verified' if not has_record(folder) else 'verified, as they were once'
            advice += f' All its files are in the cache, {state}: offline=True (--offline) takes them.'
        else:
            there = cached.relative_to(snapshot_folder(model, None).parent).as_posix()
            advice += f" The cache has revision '{there}': name it."
    return CheckpointError(
        f'The model {named} could not be downloaded: {summary}.{details} {advice} What is there already is kept.'
    )


def _chain(error: Any) -> Iterator[BaseException]:
    """An error and what it was raised from: the client wraps some in its own."""
    while isinstance(error, BaseException):
        yield error
        error = error.__cause__


def _failed_files(error: Any) -> dict[str, Any]:
    """Files that the hub listed and that could not be had, with the reasons."""
    return getattr(error, 'failed_files', None) or {}


def _status(error: Any) -> int | None:
    """The HTTP status that the hub refused a request with; None if it was not reached, or for a file's failure."""
    return getattr(getattr(error, 'response', None), 'status_code', None)


def _revisions(model: str) -> tuple[list[str], list[str]]:
    """Branches and tags that the hub has of a model, if it says so."""
    from modelscope.hub.api import HubApi

    with suppress(Exception):  # without them a revision is taken for a tag, and an error's message is shorter
        branches, tags = HubApi().get_model_branches_and_tags(model)
        return branches, tags
    return [], []
