"""The embedded reference server: both systems under test on one port, in a process of its own.

``python -m locust_ext.refserver --host 127.0.0.1 --port 0`` prints one line ``READY http://127.0.0.1:PORT`` and serves

    ============================  ===========================================================
    ``/ctx…`` and ``/socket.io/``   the context server (CONTRACTS, section 1)      context.py dumps.py live.py engine.py
    ``/api/v1/ws/{client_id}``     the agent channel (section 2)                  agent.py limits.py tokens.py
    ``/api/v1/ws/monitor/{id}``    the monitor channel (section 2)                monitor.py
    ``/echo`` ``/``                WebSocket echo; a page that talks to it all    echo.py page.py
    ``/events`` ``/faults``         pushes and misbehaviour on demand              control.py faults.py
    ``/counters`` ``/metrics``      what the server saw                            counters.py metrics.py
    ============================  ===========================================================

It speaks through aiohttp and python-socketio, never through the codecs of this package, so that a mistake in an
encoding cannot cancel itself out. Importing it does nothing; it needs the extra ``locust-ext[demo]``.
"""
