"""The page of the studio, for people who never write Python. Needs the extra ``studio``.

It calls the engine in this process, so that its jobs and those of the API stand in one queue.
"""
