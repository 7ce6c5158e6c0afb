"""The gevent layer: sockets, watchers, deadlines and greenlets around the pure core. No Locust."""
