"""Turn a hub id into a folder that can be loaded: download only the needed files, once, and verify them."""

from __future__ import annotations

import errno
import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import count
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from modelscope_i2v.errors import CheckpointError, ModelScopeI2VError, OutputError
from modelscope_i2v.files import output_errors
from modelscope_i2v.hub.reuse import link_same_file
from modelscope_i2v.hub.snapshots import (
    DEFAULT_REVISION,
    Snapshot,
    cached_snapshot,
    has_usable_configuration,
    is_edited,
    needed_files,
    snapshot_folder,
    warn_if_edited,
)
from modelscope_i2v.hub.verified import (
    changed_since_verified,
    has_changed_since,
    has_record,
    has_verified,
    record_verified,
    verified_hash,
    was_branch,
)
from modelscope_i2v.model_folder import FILE_NAME, ModelFolder

logger = logging.getLogger(__name__)

#: Revisions that are always treated as branches; for others, the hub is asked whether they are.
BRANCHES = (DEFAULT_REVISION, 'main')
#: The name under which an edited configuration is kept when the hub's version replaces it.
EDITED_NAME = 'configuration.edited-{}.json'
#: A folder beside the snapshots: files that are being downloaded, and the locks of revisions.
STAGING = '.modelscope_i2v'
#: The errors of a full or write-protected disk.
_DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM)

#: The files of a revision: path -> size and SHA-256 (None if the hub does not give it).
Listing = Mapping[str, tuple[int, 'str | None']]


def find_snapshot(model: str, revision: str | None = None, *, offline: bool = False) -> Snapshot:
    """Find a revision of ``owner/name``: fetch its configuration now, and its weights when the snapshot is completed.

    So problems are found before gigabytes are downloaded. A tag that is in the cache and verified costs no request. For
    a branch, or without a revision, the hub is asked for updates; if that fails, the cached copy is used, with a
    warning. If the hub cannot be reached or nothing can be written, unverified files from ModelScope's own client are
    used, too, with a warning.

    Raises:
        CheckpointError: if the model cannot be downloaded, or is not in the cache when ``offline``.
        ConfigurationError: if its configuration cannot be used. OutputError: if it cannot be written.
        InputError: if ``revision`` cannot be the name of a revision.
    """
    place = snapshot_folder(model, revision)
    if offline:
        return cached_snapshot(model, revision)
    moves = revision is None or revision in BRANCHES or was_branch(place)
    wanted = Revision(model, revision, place, moves)
    if moves or not has_usable_configuration(place):
        return wanted.fetch_configuration()
    warn_if_edited(place)
    folder = ModelFolder.read(place)
    if changed_since_verified(place, needed_files(folder)[1:]):
        return Snapshot(folder, partial(wanted.fetch_weights, folder))
    return Snapshot.whole(folder)


@dataclass(frozen=True)
class Revision:
    """A revision of a model on the hub, and its folder in the cache.

    Attributes:
        revision: the requested revision; None is the hub's default.
        place: the folder of the snapshot. It does not change until all new files are downloaded and verified.
        moves: whether the hub may have a newer version under this name.
    """

    model: str
    revision: str | None
    place: Path
    moves: bool

    @property
    def name(self) -> str:
        """The name of the revision on the hub."""
        return self.revision or DEFAULT_REVISION

    @cached_property
    def staging(self) -> Path:
        """The folder that holds files until all of them are downloaded."""
        return self.place.parents[len(Path(self.name).parts)] / STAGING / self.name

    def fetch_configuration(self) -> Snapshot:
        """Fetch the configuration, but not the weights that it names. Errors as :func:`find_snapshot`."""
        try:
            with _locked(self.staging):
                api, listing = _listing(self.model, self.name)
                self._get(api, listing, [FILE_NAME])
                new = (self.staging / FILE_NAME).exists()
                folder = ModelFolder.read(self.staging if new else self.place)
                needed_files(folder)
                if not new:
                    warn_if_edited(self.place)
        except Exception as error:  # the client's errors have no common base, not even within one version
            return Snapshot.whole(self._cached_instead(error))
        return Snapshot(folder, partial(self.fetch_weights, folder, api, listing))

    def fetch_weights(self, folder: ModelFolder, api: Any = None, listing: Listing | None = None) -> ModelFolder:
        """Fetch the files that ``folder`` names, and put all of them in place. Errors as :func:`find_snapshot`.

        Args:
            folder: the configuration that was read.
            api, listing: the client and listing that fetched the configuration; None asks the hub again.
        """
        try:
            with _locked(self.staging):
                if listing is None:
                    api, listing = _listing(self.model, self.name)
                    self._get(api, listing, [FILE_NAME])
                    if (self.staging / FILE_NAME).exists():  # the tag was moved
                        folder = ModelFolder.read(self.staging)
                names = needed_files(folder)
                self._get(api, listing, names)
                self._put_in_place(names, listing)
        except Exception as error:  # see above
            return self._cached_instead(error)
        return folder.moved_to(self.place)

    def _get(self, api: Any, listing: Listing, names: list[str]) -> None:
        """Fetch into ``staging`` those of ``names`` that are not in place as listed, verified by size and hash."""
        missing = [name for name in names if name not in listing]
        if missing:
            because = '' if missing == [FILE_NAME] else f", which its '{FILE_NAME}' names"
            raise CheckpointError(
                f"Revision '{self.name}' of '{self.model}' has no {', '.join(missing)}{because}. Use another "
                "revision, or tell the model's owner."
            )
        wanted = [name for name in names if not self._is_in_place(name, listing)]
        for name in names:
            if name not in wanted:
                (self.staging / name).unlink(missing_ok=True)  # left by an update that is out of date
            elif not (self.staging / name).exists():
                link_same_file(self.staging / name, name, *listing[name])
        if wanted:
            files = [{'Path': name, 'Size': listing[name][0], 'Sha256': listing[name][1]} for name in wanted]
            _download(api, self.model, self.name, self.staging, files)

    def _is_in_place(self, name: str, listing: Listing) -> bool:
        """Whether the file is the same as the hub's, or is the hub's configuration edited by the user."""
        if has_verified(self.place, name, *listing[name]):
            return True
        return name == FILE_NAME and is_edited(self.place, listing[name][1])

    def _put_in_place(self, names: list[str], listing: Listing) -> None:
        """Move the downloaded files into the snapshot, the configuration last, and record what was verified."""
        branch = self.name in BRANCHES or self.name in _revisions(self.model)[0]
        if not has_record(self.place):
            # From now on, files that another client left must be verified.
            record_verified(self.place, {}, branch=branch)
        new = [name for name in reversed(names) if (self.staging / name).exists()]
        edited = is_edited(self.place)
        with output_errors(self.place):
            for name in new:
                (self.place / name).parent.mkdir(parents=True, exist_ok=True)
                if name == FILE_NAME:
                    self._keep_changed_configuration()
                (self.staging / name).replace(self.place / name)
                # If both names are links to one file, replace() does nothing and leaves the staged name.
                (self.staging / name).unlink(missing_ok=True)
        hashes = {name: listing[name][1] for name in names}
        kept = [FILE_NAME] if edited and FILE_NAME not in new else []
        record_verified(self.place, hashes, branch=branch, edited=kept)

    def _keep_changed_configuration(self) -> None:
        """Rename the configuration if the user has changed it: the hub's version is about to replace it."""
        file = self.place / FILE_NAME
        if not has_changed_since(self.place, FILE_NAME, verified_hash(self.place, FILE_NAME)):
            return
        names = (EDITED_NAME.format(number) for number in count(1))
        kept = next(name for name in names if not (self.place / name).exists())
        file.rename(self.place / kept)
        logger.warning("'%s' was edited. The hub's version replaces it; yours is kept as '%s'.", file, kept)

    def _cached_instead(self, error: Exception) -> ModelFolder:
        """Return the cached copy after the hub or the disk failed with ``error``; without one, raise it, explained."""
        whole = self._whole() if self.moves else None
        if whole is not None:
            logger.warning("Could not update '%s' from the hub (%s); using '%s'.", self.model, error, self.place)
            return whole
        ours = isinstance(error, ModelScopeI2VError)
        unreachable = not ours and _status(error) is None and not _failed_files(error)
        cached = self._of_another_client() if unreachable or isinstance(error, OutputError) else None
        if cached is not None:
            logger.warning("'%s' could not be verified (%s); using it anyway.", self.place, error)
            return cached
        if ours:
            raise error
        raise _explained(self.model, self.revision, self.place, error) from error

    def _whole(self) -> ModelFolder | None:
        """The snapshot, if all needed files are there and verified."""
        try:
            if has_usable_configuration(self.place):
                folder = ModelFolder.read(self.place)
                if not changed_since_verified(self.place, needed_files(folder)[1:]):
                    warn_if_edited(self.place)
                    return folder
        except ModelScopeI2VError:
            pass
        return None

    def _of_another_client(self) -> ModelFolder | None:
        """The snapshot, if another client left all of its files there; only the hub knows if they are correct."""
        with suppress(ModelScopeI2VError):
            cached = cached_snapshot(self.model, self.revision)
            if not has_record(self.place) and cached.folder.path == self.place:
                return cached.complete()
        return None


@contextmanager
def _locked(staging: Path) -> Iterator[None]:
    """Keep other processes away from the same revision; the second one waits and finds everything done."""
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


def _download(api: Any, model: str, revision: str, staging: Path, files: list[dict[str, Any]]) -> None:
    """Download ``files``, however long it takes: the client stops after an hour, and resumes when called again."""
    from modelscope_hub.constants import DOWNLOAD_TOTAL_TIMEOUT

    while True:
        started, before = time.monotonic(), _size(staging)
        try:
            api.download_repo(model, 'model', revision=revision, local_dir=staging, file_list=files)
            return
        except Exception:  # the client's errors have no common base; all but a timeout after progress are raised again
            if time.monotonic() - started < DOWNLOAD_TOTAL_TIMEOUT or _size(staging) <= before:
                raise
        logger.warning("The download of '%s' is slow; continuing.", model)


def _size(folder: Path) -> int:
    """The total size in bytes of all files in ``folder``."""
    return sum(path.stat().st_size for path in folder.rglob('*') if path.is_file())


def _explained(model: str, revision: str | None, folder: Path, error: Exception) -> ModelScopeI2VError:
    """Turn an error of the client into one that helps the user."""
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
        advice = 'This is a problem with the hub: try again later.'
    else:
        advice = 'Check the id, the revision and the network, and try again.'
    with suppress(ModelScopeI2VError):
        cached = cached_snapshot(model, revision).complete().path
        if cached == folder:
            state = 'not verified' if not has_record(folder) else 'verified when they were downloaded'
            advice += f' All its files are in the cache, {state}: offline=True (--offline) uses them.'
        else:
            there = cached.relative_to(snapshot_folder(model, None).parent).as_posix()
            advice += f" The cache has revision '{there}': ask for that revision."
    return CheckpointError(
        f'The model {named} could not be downloaded: {summary}.{details} {advice} Files already downloaded are kept.'
    )


def _chain(error: Any) -> Iterator[BaseException]:
    """An error and its causes: the client wraps some errors in its own."""
    while isinstance(error, BaseException):
        yield error
        error = error.__cause__


def _failed_files(error: Any) -> dict[str, Any]:
    """Files that the hub listed but that could not be fetched, with the reasons."""
    return getattr(error, 'failed_files', None) or {}


def _status(error: Any) -> int | None:
    """The HTTP status with which the hub refused a request; None if it was not reached, or if only a file failed."""
    return getattr(getattr(error, 'response', None), 'status_code', None)


def _revisions(model: str) -> tuple[list[str], list[str]]:
    """The branches and tags of a model on the hub; empty if the hub does not say."""
    from modelscope.hub.api import HubApi

    with suppress(Exception):  # without them, a revision is treated as a tag and error messages are shorter
        branches, tags = HubApi().get_model_branches_and_tags(model)
        return branches, tags
    return [], []
