"""From a hub id to a folder that can be loaded: only what the task needs, verified, and nothing twice."""

from __future__ import annotations

import errno
import glob
import logging
import shutil
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from modelscope_i2v.configuration_file import FILE_NAME
from modelscope_i2v.errors import CheckpointError, ModelScopeI2VError
from modelscope_i2v.hub.snapshots import DEFAULT_REVISION, cached_snapshot, needed_files, snapshot_folder, twins
from modelscope_i2v.hub.verified import are_verified, record_verified
from modelscope_i2v.media.atomic_file import output_errors

logger = logging.getLogger(__name__)

#: Errors of links that mean "not here", as against a full disk.
_NO_LINKS = (errno.EXDEV, errno.EPERM, errno.ENOTSUP, errno.EMLINK, errno.EACCES, errno.ENOSYS)


def fetch_snapshot(model: str, revision: str | None = None, *, offline: bool = False) -> Path:
    """The folder of a revision of ``owner/name``, with its configuration and the weights that this names.

    A revision that is there and verified costs no request. Without a revision the hub is asked what is new; if that
    fails, what is there is used, with a warning.

    Raises:
        CheckpointError: if the model cannot be downloaded, or is not in the cache when ``offline``.
        ConfigurationError: if its configuration cannot be used. OutputError: if it cannot be written.
    """
    if offline:
        return cached_snapshot(model, revision)
    folder = snapshot_folder(model, revision)
    if revision is not None and _is_whole(folder):
        return folder
    try:
        _download(model, revision or DEFAULT_REVISION, folder)
    except ModelScopeI2VError:
        raise
    except Exception as error:  # the client's errors have no common base, neither within nor across its versions
        if _is_whole(folder):
            logger.warning("The hub could not be asked for news of '%s' (%s); using '%s'.", model, error, folder)
            return folder
        raise CheckpointError(_explain(model, revision, error)) from error
    return folder


def _is_whole(folder: Path) -> bool:
    try:
        return are_verified(folder, needed_files(folder))
    except ModelScopeI2VError:
        return False


def _download(model: str, revision: str, folder: Path) -> None:
    with output_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    listed = _listing(model, revision)
    _get(model, revision, folder, listed, [FILE_NAME])
    names = needed_files(folder)
    weights = names[1:]
    for name in weights:
        if not (folder / name).exists():
            _link_twin(folder, name, listed.get(name))
    if not are_verified(folder, names):
        _get(model, revision, folder, listed, weights)
        record_verified(folder, names)


def _listing(model: str, revision: str) -> dict[str, int | None]:
    """Path -> size of every file of a revision."""
    from modelscope.hub.api import HubApi

    endpoint = HubApi().get_endpoint_for_read(model, repo_type='model')
    files = HubApi(endpoint=endpoint).get_model_files(model, revision=revision, recursive=True)
    return {file['Path']: file.get('Size') for file in files}


def _get(model: str, revision: str, folder: Path, listed: Iterable[str], names: list[str]) -> None:
    """Download what of ``names`` is not there yet, and verify all of them by size and hash."""
    from modelscope.hub.snapshot_download import snapshot_download

    missing = sorted(set(names) - set(listed))
    if missing:
        because = '' if missing == [FILE_NAME] else f", which its '{FILE_NAME}' names"
        raise CheckpointError(
            f"Revision '{revision}' of '{model}' has no {', '.join(missing)}{because}. Take another revision, or tell "
            "the model's owner."
        )
    # Given the folder, the client does not look for a cache of its older versions, which had one for all revisions.
    snapshot_download(
        model,
        revision=revision,
        local_dir=str(folder),
        allow_patterns=[glob.escape(name) for name in names],
    )


def _link_twin(folder: Path, name: str, size: int | None) -> None:
    """Put a file of the same name and size from another snapshot in place; the client will verify it as its own."""
    target = folder / name
    for twin in twins(folder, name):
        if size is not None and twin.stat().st_size == size:
            with output_errors(target):
                target.parent.mkdir(parents=True, exist_ok=True)
                try:
                    target.hardlink_to(twin.resolve())
                except OSError as error:
                    if error.errno not in _NO_LINKS:
                        raise
                    shutil.copyfile(twin, target)
            logger.info("'%s' is taken from '%s'.", target, twin)
            return


def _explain(model: str, revision: str | None, error: Exception) -> str:
    named = f"'{model}'" + (f" (revision '{revision}')" if revision else '')
    failed: dict[str, Any] = getattr(error, 'failed_files', None) or {}
    details = ''.join(f' {name}: {reason}.' for name, reason in failed.items())
    answered = getattr(error, 'response', None) is not None  # else there is nobody to ask
    known = ', '.join(_revisions(model)) if answered else ''
    advice = f'Its revisions are {known}.' if known else 'Check the id, the revision and the network, and try again.'
    with suppress(ModelScopeI2VError):
        cached_snapshot(model, revision)
        advice += ' All its files are in the cache, not verified: offline=True (--offline) takes them.'
    return f'The model {named} could not be downloaded: {error}.{details} {advice} What is there already is kept.'


def _revisions(model: str) -> list[str]:
    """What the hub has of a model, if it says so."""
    from modelscope.hub.api import HubApi

    with suppress(Exception):  # this only helps another error's message
        branches, tags = HubApi().get_model_branches_and_tags(model)
        return [*branches, *tags]
    return []
