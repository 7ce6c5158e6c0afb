"""Tests of the gevent layer, and of the users on it, with scripted peers on real sockets."""
