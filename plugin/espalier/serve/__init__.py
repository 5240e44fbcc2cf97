"""The sidecar: completions over gRPC.

A supervisor and workers, one process for each processor::

    runner ── supervisor ═╤═ control ═ worker 0   loop ── calls ── wire ── service ── domain
    (port, sessions)      ╘═ control ═ worker 1   the same, on the same port

``runner`` takes the port and the table of sessions and starts a ``supervisor``, which
keeps ``worker`` processes running, tells each its ``orders`` and asks them things over
``control``. It knows no gRPC and no index.

In a worker a call goes through ``loop`` and ``calls`` (events of grpcio's core; limits,
deadlines, what is not worth beginning), ``wire`` (bytes to message, errors to status),
``service`` (message to domain and back) and ``domain`` (what the service does, knowing
no gRPC). ``server`` puts ``health`` and ``reflection`` beside it, and ends it.
"""
