"""Several scenarios one after the other, each a Locust process of its own: ``locust-ext suite FILE``.

    file.py      what may stand in a suite file                        FILE -> Suite
    plan.py      what is going to run, checked before anything does    Suite, Overrides -> Planned …
    running.py   one scenario after the other, until all have ended    Planned … -> SuiteResult
    process.py   the process of one scenario: started, watched, ended
    child.py     the first thing that process does
    command.py   the command line

Imports neither Locust nor gevent: the scenarios have processes of their own for that.
"""
