"""A hub that serves revisions of model folders over HTTP, like ModelScope's, and fails on demand.

It answers the requests that the client of ModelScope 1.40 makes to read models: whether a model exists and who owns it,
its revisions, the files of a revision, and a file's bytes, whole or from an offset.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock, Thread
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

MODEL = r'(?P<owner>[^/]+)/(?P<name>[^/]+)'


@dataclass
class Fault:
    """A failure that a file meets.

    Attributes:
        kind: ``'drop'`` closes the connection halfway, ``'content'`` serves different bytes than the listing promises,
            ``'size'`` serves fewer bytes, ``'missing'`` answers 404, ``'error'`` answers 500, ``'slow'`` waits
            ``seconds`` first, ``'trickle'`` takes ``seconds`` for the whole file, ``'unlisted'`` leaves the file out of
            the listing, ``'unlistable'`` answers 500 instead of a listing.
        file: its path in the repository; None is every file.
        times: how often it happens before all is well; None is always.
    """

    kind: str
    file: str | None = None
    times: int | None = None
    seconds: float = 0.5
    _lock: Lock = field(default_factory=Lock, repr=False)

    def happens(self, kinds: tuple[str, ...], file: str) -> bool:
        """Whether a request for ``file`` meets one of ``kinds`` now; each call that does counts."""
        with self._lock:
            if self.kind not in kinds or self.file not in (None, file) or self.times == 0:
                return False
            self.times = None if self.times is None else self.times - 1
            return True


class Hub:
    """The content of the hub: folders by model id and revision, faults, and a record of requests.

    Attributes:
        endpoint: the value for ``MODELSCOPE_ENDPOINT``.
        requests: path and query of every request so far.
        faults: the current faults; may be changed at any time.
    """

    def __init__(self, port: int) -> None:
        self.endpoint = f'http://127.0.0.1:{port}'
        self.requests: list[str] = []
        self.faults: list[Fault] = []
        self._folders: dict[tuple[str, str], Path] = {}
        self._branches: set[tuple[str, str]] = set()

    def serve(self, model: str, revision: str, folder: Path, *, branch: bool = False) -> None:
        """Serve ``folder`` as a revision of ``owner/name``, a tag or a branch."""
        self._folders[model, revision] = folder
        if branch:
            self._branches.add((model, revision))

    def folder(self, model: str, revision: str) -> Path | None:
        return self._folders.get((model, revision))

    def revisions(self, model: str) -> list[str]:
        return [revision for name, revision in self._folders if name == model]

    def is_branch(self, model: str, revision: str) -> bool:
        return (model, revision) in self._branches

    def fault(self, file: str, *kinds: str) -> Fault | None:
        return next((fault for fault in self.faults if fault.happens(kinds, file)), None)

    def downloads(self) -> list[str]:
        """The files whose bytes were requested, in order."""
        queries = [parse_qs(urlsplit(request).query) for request in self.requests]
        return [query['FilePath'][0] for query in queries if 'FilePath' in query]


@contextmanager
def serving() -> Iterator[Hub]:
    """A hub that answers while the block runs."""

    class Handler(_Handler):
        hub: Hub

    server = ThreadingHTTPServer(('127.0.0.1', 0), Handler)
    Handler.hub = Hub(server.server_port)
    thread = Thread(target=server.serve_forever, kwargs={'poll_interval': 0.05}, daemon=True)
    thread.start()
    try:
        yield Handler.hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    hub: Hub
    routes = (
        (rf'/openapi/v1/models/{MODEL}', '_about'),
        (rf'/api/v1/models/{MODEL}', '_about_before'),
        (rf'/api/v1/models/{MODEL}/revisions', '_revisions'),
        (rf'/api/v1/models/{MODEL}/repo/files', '_listing'),
        (rf'/api/v1/models/{MODEL}/repo', '_file'),
        (r'/api/v1/repos/internalAccelerationInfo', '_region'),
    )

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        self.hub.requests.append(self.path)
        self.query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        for pattern, method in self.routes:
            match = re.fullmatch(pattern, unquote(parts.path))
            if match:
                names = match.groupdict()
                model = f'{names["owner"]}/{names["name"]}' if names else ''
                if not names or self.hub.revisions(model):
                    getattr(self, method)(model)
                else:
                    self._refuse(404, 'record not found')
                return
        self._refuse(404, f'no such page: {self.path}')

    def do_HEAD(self) -> None:
        self.do_GET()

    def log_message(self, format: str, *args: Any) -> None:
        """Requests are recorded, not printed."""

    def _about(self, model: str) -> None:
        owner, name = model.split('/')
        self._json({'success': True, 'data': {'id': model, 'owner': owner, 'name': name, 'visibility': 'public'}})

    def _about_before(self, model: str) -> None:
        owner, name = model.split('/')
        self._json({'Code': 200, 'Success': True, 'Data': {'Name': name, 'Path': owner, 'Owner': owner}})

    def _revisions(self, model: str) -> None:
        kinds: dict[str, list[dict[str, Any]]] = {'Branches': [], 'Tags': []}
        for revision in self.hub.revisions(model):
            kind = 'Branches' if self.hub.is_branch(model, revision) else 'Tags'
            kinds[kind].append({'Revision': revision, 'CreatedAt': 1_700_000_000})
        self._json({'Code': 200, 'Success': True, 'Data': {'RevisionMap': kinds}})

    def _region(self, model: str) -> None:
        self._json({'Code': 200, 'Success': True, 'Data': {'InternalRegionQueryAddress': ''}})

    def _listing(self, model: str) -> None:
        folder = self._folder(model)
        if folder is None:
            return
        if self.hub.fault('', 'unlistable'):
            self._refuse(500, 'internal error')
            return
        files = []
        for path in sorted(file for file in folder.rglob('*') if file.is_file()):
            name = path.relative_to(folder).as_posix()
            if self.hub.fault(name, 'unlisted') is None:
                digest = hashlib.sha256(path.read_bytes()).hexdigest()
                entry = {'Path': name, 'Name': path.name, 'Type': 'blob', 'Size': path.stat().st_size}
                files.append({**entry, 'Sha256': digest, 'Revision': self.query['Revision']})
        self._json({'Code': 200, 'Success': True, 'Data': {'Files': files}})

    def _file(self, model: str) -> None:
        folder, name = self._folder(model), self.query.get('FilePath', '')
        if folder is None:
            return
        path, fault = (
            folder / name,
            self.hub.fault(name, 'drop', 'content', 'size', 'missing', 'error', 'slow', 'trickle'),
        )
        kind = None if fault is None else fault.kind
        if kind == 'missing' or not path.is_file():
            self._refuse(404, f'{name} not found in revision {self.query.get("Revision")}')
        elif kind == 'error':
            self._refuse(500, 'internal error')
        else:
            if fault is not None and kind == 'slow':
                time.sleep(fault.seconds)
            content = path.read_bytes()
            if kind == 'size':
                content = content[: len(content) // 2]
            elif kind == 'content':
                content = bytes(255 - byte for byte in content)
            seconds = fault.seconds if fault is not None and kind == 'trickle' else 0.0
            self._bytes(content, drop=kind == 'drop', seconds=seconds)

    def _bytes(self, content: bytes, *, drop: bool, seconds: float) -> None:
        wanted = re.fullmatch(r'bytes=(\d+)-', self.headers.get('Range', ''))
        start = int(wanted[1]) if wanted else 0
        if start > len(content):
            self._refuse(416, 'no such range')
            return
        self.send_response(206 if wanted else 200)
        self.send_header('Content-Type', 'application/octet-stream')
        self.send_header('Content-Length', str(len(content) - start))
        if wanted:
            self.send_header('Content-Range', f'bytes {start}-{len(content) - 1}/{len(content)}')
        self.end_headers()
        if self.command == 'GET' and seconds:
            self._trickle(content, start, seconds)
        elif self.command == 'GET':
            self.wfile.write(content[start : start + (len(content) - start) // 2] if drop else content[start:])
        self.close_connection = self.close_connection or drop

    def _trickle(self, content: bytes, start: int, seconds: float) -> None:
        """Send ``content`` from ``start`` on, at a rate of ``seconds`` for the whole, until the client hangs up."""
        piece = -(-len(content) // 20)
        with suppress(ConnectionError):
            for begin in range(start, len(content), piece):
                time.sleep(seconds / 20)
                self.wfile.write(content[begin : begin + piece])
                self.wfile.flush()

    def _folder(self, model: str) -> Path | None:
        revision = self.query.get('Revision', 'master')
        folder = self.hub.folder(model, revision)
        if folder is None:
            self._refuse(404, f'the revision {revision} not found')
        return folder

    def _refuse(self, status: int, message: str) -> None:
        self._json({'Code': status, 'Success': False, 'Message': message, 'RequestId': 'loopback'}, status)

    def _json(self, content: dict[str, Any], status: int = 200) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header('Content-Type', 'application/json')
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        if self.command == 'GET':
            self.wfile.write(body)
