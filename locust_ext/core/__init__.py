"""Pure rules: no gevent, no Locust, no socket, no clock, no global random. Fed and asked; never waits."""
