"""The sidecar: completions over gRPC.

Start reading at ``runner``, which puts the parts together; a call then goes
through ``wire`` (bytes to message, errors to status), ``service`` (message to
domain and back) and ``domain`` (what the service does, knowing no gRPC).
"""
