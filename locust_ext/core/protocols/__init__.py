"""Bytes to events and back: WebSocket, Engine.IO, Socket.IO, and the matching of replies to requests."""
