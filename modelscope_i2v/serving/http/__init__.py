"""The HTTP API of an engine, as other video services have it: ``POST /v1/videos``. Needs the extra ``studio``."""
