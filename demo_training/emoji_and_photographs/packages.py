"""What the recipe learns from: packages of two registries, fetched by their own clients. Nothing of them is shipped."""

from __future__ import annotations

import hashlib
import logging
import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from modelscope_i2v.errors import ConfigurationError
from modelscope_i2v.files import output_errors

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Package:
    """One file of a registry.

    Attributes:
        client: ``'npm'`` or ``'apt-get'``, the program that fetches it.
        name, version: as the registry has them.
        sha256: of the file.
        licence: what the card says of it; Debian's packages hold the licence of every picture.
    """

    client: str
    name: str
    version: str
    sha256: str
    licence: str

    @property
    def file_name(self) -> str:
        """The name under which a folder keeps the file."""
        return f'{self.name.rpartition("/")[2]}-{self.version.replace(":", "_")}.{self.suffix}'

    @property
    def suffix(self) -> str:
        return 'tgz' if self.client == 'npm' else 'deb'

    @property
    def command(self) -> list[str]:
        """What fetches the file into the working folder."""
        if self.client == 'npm':
            return ['npm', 'pack', '--silent', f'{self.name}@{self.version}']
        return ['apt-get', 'download', '-q', f'{self.name}={self.version}']


#: Animated Fluent Emoji; upstream is microsoft/fluentui-emoji-animated, MIT as well.
EMOJI = tuple(
    Package('npm', f'@lobehub/fluent-emoji-anim-{number}', '1.0.0', sha256, 'MIT')
    for number, sha256 in enumerate(
        (
            '4c03ac178c1eabf2e2a16dd498f3cc2b92dc30ec3466ae38fdc497d4774c99ea',
            'e431da8172e394036c330faa77648d6fbbae1fd3b0be95637c4497c9075019c0',
            '3624d0c34c819c1794b74ccf6ae9034adff7c4cb6318dd2a645145f0196feb43',
            '3d4c08f1e321f70808ef4996aba0ab575a9d97b6c56ffffc92cf6161a7836aa3',
        ),
        start=1,
    )
)
#: Wallpapers of Debian 12.
WALLPAPERS = tuple(
    Package('apt-get', *row)
    for row in (
        (
            'gnome-backgrounds',
            '43.1-1',
            'a670dea21572652127d6e55f9cdb3a226d0037854fdbfd037003c7d00ee0dc4e',
            'CC-BY-SA-3.0 and others',
        ),
        (
            'lomiri-wallpapers-16.04',
            '20.04.0-2',
            'a99ff6a3bfe451e4cc0682ecb3cc82e71740626d59e4845ae34a0a0e45421eab',
            'CC-BY-4.0, CC-BY-SA-4.0, CC0-1.0',
        ),
        (
            'lomiri-wallpapers-20.04',
            '20.04.0-2',
            'd44e89b8473aafe64a5b678f014862dc31335aaaf18665c544d985d854f1a709',
            'CC-BY-SA-4.0 and others',
        ),
        (
            'mate-backgrounds',
            '1.26.0-1',
            '7bf4c2209f34b4f61ba6d24c8b58c28b361e82e4b943aae6d42c030169af9e04',
            'GPL-2+ and others',
        ),
        (
            'plasma-workspace-wallpapers',
            '4:5.27.5-2',
            '32cd18b71c8c938a18b3b351f217c02ac590e323caa3cf322fbb875ce8892f8b',
            'GPL-2+',
        ),
        (
            'ukui-wallpapers',
            '20.04.3-1.1',
            '6d49be70152e6d603163458e177e501deb0be8f2916389ccbfcf59b0d7fc0262',
            'CC-BY-SA-3.0',
        ),
    )
)


def fetch(packages: Iterable[Package], folder: Path) -> list[Path]:
    """The files of ``packages`` in ``folder``; what is missing there is fetched, and all are checked.

    Raises:
        ConfigurationError: if a client is missing or fails, or if a file is not the one that the recipe knows.
    """
    with output_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    return [_fetched(package, folder) for package in packages]


def unpack_debian(package: Path, folder: Path) -> Path:
    """Unpack a Debian package into ``folder``, which is returned."""
    _run(['dpkg', '-x', str(package), str(folder)], folder.parent)
    return folder


def _fetched(package: Package, folder: Path) -> Path:
    path = folder / package.file_name
    if not path.exists():
        logger.info('fetching %s %s', package.name, package.version)
        with output_errors(path), tempfile.TemporaryDirectory(dir=folder) as draft:
            _run(package.command, Path(draft))
            found = sorted(Path(draft).glob(f'*.{package.suffix}'))
            if len(found) != 1:
                raise ConfigurationError(
                    f"'{' '.join(package.command)}' left {len(found)} files instead of one. Run it by hand to see why."
                )
            found[0].replace(path)
    digest = _sha256(path)
    if digest != package.sha256:
        raise ConfigurationError(
            f"'{path}' has the SHA-256 {digest}, but the recipe was made with {package.sha256}. Remove it to fetch it "
            'again.'
        )
    return path


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open('rb') as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _run(command: list[str], folder: Path) -> None:
    if shutil.which(command[0]) is None:
        raise ConfigurationError(f"The recipe needs '{command[0]}', which was not found. Install it.")
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ['no message'])[-1]
        raise ConfigurationError(
            f"'{' '.join(command)}' failed with code {done.returncode}: {last}. Check the network and the registry."
        )
