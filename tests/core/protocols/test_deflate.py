"""permessage-deflate: what is offered, what is accepted, and that messages survive it within their limits."""

from __future__ import annotations

import random
import tracemalloc
import zlib
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory, ServerPerMessageDeflateFactory

from locust_ext.core.protocols.deflate import (
    DeflateOffer,
    MessageTooBig,
    PerMessageDeflate,
    ProtocolViolation,
    negotiate,
)

TAIL = b"\x00\x00\xff\xff"


def agreed(deflate: PerMessageDeflate) -> tuple[int, int, bool, bool]:
    """Our window bits, the peer's, whether we forget our context, whether the peer does."""
    return (
        deflate.local_max_window_bits,
        deflate.remote_max_window_bits,
        deflate.local_no_context_takeover,
        deflate.remote_no_context_takeover,
    )


# -- negotiation


@pytest.mark.parametrize(
    ("options", "header"),
    [
        ({}, "permessage-deflate; client_max_window_bits"),
        ({"client_max_window_bits": 10}, "permessage-deflate; client_max_window_bits=10"),
        (
            {"server_max_window_bits": 9},
            "permessage-deflate; server_max_window_bits=9; client_max_window_bits",
        ),
        (
            {"client_no_context_takeover": True, "server_no_context_takeover": True, "level": 9, "min_bytes": 100},
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover; client_max_window_bits",
        ),
    ],
)
def test_an_offer_names_what_it_asks_for(options: dict[str, Any], header: str) -> None:
    assert DeflateOffer(**options).header_value() == header


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"client_max_window_bits": 8}, "client_max_window_bits must be 9 to 15, got 8"),
        ({"client_max_window_bits": 16}, "client_max_window_bits must be 9 to 15, got 16"),
        ({"server_max_window_bits": 8}, "server_max_window_bits must be 9 to 15, got 8"),
        ({"level": 10}, "level must be -1 to 9, got 10"),
        ({"level": -2}, "level must be -1 to 9, got -2"),
        ({"mem_level": 0}, "mem_level must be 1 to 9, got 0"),
        ({"mem_level": 10}, "mem_level must be 1 to 9, got 10"),
        ({"min_bytes": -1}, "min_bytes must be at least 0, got -1"),
    ],
)
def test_an_offer_that_cannot_be_kept_is_not_made(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DeflateOffer(**options)


@pytest.mark.parametrize(
    ("options", "answer", "result"),
    [
        ({}, "permessage-deflate", (15, 15, False, False)),
        ({}, "  permessage-deflate  ", (15, 15, False, False)),
        ({}, "permessage-deflate; client_max_window_bits=15", (15, 15, False, False)),
        ({}, "permessage-deflate;client_max_window_bits=8", (8, 15, False, False)),
        ({}, 'permessage-deflate; client_max_window_bits="10"', (10, 15, False, False)),
        ({}, "permessage-deflate ;\tclient_max_window_bits = 10 ; server_max_window_bits=9", (10, 9, False, False)),
        # The server may limit itself unasked (7.1.1.1, 7.1.2.1), and ask us to forget (7.1.1.2).
        ({}, "permessage-deflate; server_max_window_bits=8", (15, 8, False, False)),
        ({}, "permessage-deflate; server_no_context_takeover", (15, 15, False, True)),
        ({}, "permessage-deflate; client_no_context_takeover", (15, 15, True, False)),
        # What we said of ourselves holds whether or not the server repeats it.
        ({"client_no_context_takeover": True}, "permessage-deflate", (15, 15, True, False)),
        ({"client_max_window_bits": 10}, "permessage-deflate", (10, 15, False, False)),
        ({"client_max_window_bits": 10}, "permessage-deflate; client_max_window_bits=9", (9, 15, False, False)),
        ({"server_max_window_bits": 12}, "permessage-deflate; server_max_window_bits=12", (15, 12, False, False)),
        ({"server_max_window_bits": 12}, "permessage-deflate; server_max_window_bits=9", (15, 9, False, False)),
        (
            {"server_no_context_takeover": True},
            "permessage-deflate; server_no_context_takeover",
            (15, 15, False, True),
        ),
    ],
)
def test_an_answer_within_the_offer_is_accepted(
    options: dict[str, Any], answer: str, result: tuple[int, int, bool, bool]
) -> None:
    offer = DeflateOffer(**options, level=3, mem_level=4, min_bytes=5)
    deflate = offer.accept(answer)
    assert agreed(deflate) == result
    assert (deflate.level, deflate.mem_level, deflate.min_bytes) == (3, 4, 5)


@pytest.mark.parametrize(
    ("options", "answer", "message"),
    [
        ({}, "", "not the one offered"),
        ({}, "x-webkit-deflate-frame", "not the one offered"),
        ({}, "permessage-deflates", "not the one offered"),
        ({}, "Permessage-Deflate", "not the one offered"),
        ({}, "permessage-deflate, permessage-deflate", "not the one offered"),
        ({}, "permessage-deflate, permessage-bzip2; level=1", "not the one offered"),
        ({}, "permessage-deflate; client_no_context_takeover, permessage-deflate", "cannot be read"),
        ({}, "permessage-deflate;", "is empty"),
        ({}, "permessage-deflate; ;client_no_context_takeover", "cannot be read"),
        ({}, "permessage-deflate; client_no_context_takeover;", "cannot be read"),
        ({}, "permessage-deflate; client_no_context_takeover; ", "cannot be read"),
        ({}, "permessage-deflate; =10", "cannot be read"),
        ({}, "permessage-deflate; server_max_window_bits=", "cannot be read"),
        ({}, 'permessage-deflate; server_max_window_bits="10', "cannot be read"),
        ({}, 'permessage-deflate; server_max_window_bits=""', "cannot be read"),
        ({}, "permessage-deflate; server_max_window_bits 10", "cannot be read"),
        ({}, "permessage-deflate; client_no_context_takeover\n", "cannot be read"),
        ({}, "permessage-deflate; max_window_bits=10", "is unknown"),
        ({}, "permessage-deflate; Server_No_Context_Takeover", "is unknown"),
        ({}, "permessage-deflate; server_no_context_takeover; server_no_context_takeover", "comes twice"),
        ({}, "permessage-deflate; client_max_window_bits=9; client_max_window_bits=9", "comes twice"),
        ({}, "permessage-deflate; server_no_context_takeover=1", "has a value"),
        ({}, 'permessage-deflate; client_no_context_takeover="true"', "has a value"),
        *[
            ({}, f"permessage-deflate; {side}_max_window_bits{value}", f"{side}_max_window_bits is not a number")
            for side in ("client", "server")
            for value in ("", "=7", "=16", "=0", "=09", "=015", "=1e1", "=-9", "=+9", "=ten", "=9.0", "=99999")
        ],
        ({"client_max_window_bits": 10}, "permessage-deflate; client_max_window_bits=11", "over the offered one"),
        (
            {"server_max_window_bits": 10},
            "permessage-deflate; server_max_window_bits=11",
            "over the offered one",
        ),
        ({"server_max_window_bits": 10}, "permessage-deflate", "did not agree to server_max_window_bits"),
        ({"server_no_context_takeover": True}, "permessage-deflate", "did not agree to server_no_context_takeover"),
    ],
)
def test_an_answer_outside_the_offer_is_a_violation(options: dict[str, Any], answer: str, message: str) -> None:
    with pytest.raises(ProtocolViolation, match=message) as caught:
        DeflateOffer(**options).accept(answer)
    assert isinstance(caught.value, ValueError)


OFFERS = [
    DeflateOffer(),
    DeflateOffer(client_max_window_bits=9, server_max_window_bits=12),
    DeflateOffer(client_no_context_takeover=True),
    DeflateOffer(server_no_context_takeover=True, server_max_window_bits=10),
]


@pytest.mark.parametrize("offer", OFFERS)
def test_our_server_side_agrees_to_every_offer_of_ours(offer: DeflateOffer) -> None:
    response, at_server = negotiate(offer.header_value())
    at_client = offer.accept(response)
    local, remote, forgets, peer_forgets = agreed(at_client)
    assert agreed(at_server) == (remote, local, peer_forgets, forgets)
    assert local == (offer.client_max_window_bits or 15)
    assert remote == (offer.server_max_window_bits or 15)


@pytest.mark.parametrize("offer", OFFERS)
def test_websockets_as_a_server_agrees_to_our_offers_and_means_the_same(offer: DeflateOffer) -> None:
    name, _, rest = offer.header_value().partition(";")
    parameters = [(key.strip(), value or None) for key, _, value in (part.partition("=") for part in rest.split(";"))]
    assert name == "permessage-deflate"
    answer, theirs = ServerPerMessageDeflateFactory().process_request_params(parameters, [])
    header = "; ".join([name, *(key if value is None else f"{key}={value}" for key, value in answer)])
    local, remote, forgets, peer_forgets = agreed(offer.accept(header))
    assert local == theirs.remote_max_window_bits
    assert remote == theirs.local_max_window_bits
    assert forgets == theirs.remote_no_context_takeover
    assert peer_forgets == theirs.local_no_context_takeover


def test_our_server_side_understands_the_offer_of_websockets() -> None:
    factory = ClientPerMessageDeflateFactory(client_max_window_bits=True, server_max_window_bits=11)
    offered = [key if value is None else f"{key}={value}" for key, value in factory.get_request_params()]
    response, deflate = negotiate("; ".join(["permessage-deflate", *offered]))
    assert response == "permessage-deflate; server_max_window_bits=11; client_max_window_bits=15"
    assert agreed(deflate) == (11, 15, False, False)


@pytest.mark.parametrize(
    "header", ["", "foo", "permessage-deflate; x", "permessage-deflate; server_max_window_bits"]
)  # fmt: skip
def test_our_server_side_refuses_an_offer_that_is_none(header: str) -> None:
    with pytest.raises(ProtocolViolation):
        negotiate(header)


# -- compression


def test_the_examples_of_the_rfc_inflate_to_hello() -> None:
    """RFC 7692, 7.2.3: one block, a shared window, a stored block, BFINAL set, two blocks."""
    deflate = PerMessageDeflate()
    assert deflate.decompress(bytes.fromhex("f248cdc9c90700"), 5) == b"Hello"
    assert deflate.decompress(bytes.fromhex("f200110000"), 5) == b"Hello"
    assert PerMessageDeflate().decompress(bytes.fromhex("000500faff48656c6c6f00"), 5) == b"Hello"
    assert PerMessageDeflate().decompress(bytes.fromhex("f348cdc9c9070000"), 5) == b"Hello"
    assert PerMessageDeflate().decompress(bytes.fromhex("f24805000000ffffcac9c90700"), 5) == b"Hello"


def test_an_empty_message_is_one_zero_byte_each_time() -> None:
    for forgets in (False, True):
        deflate = PerMessageDeflate(local_no_context_takeover=forgets)
        assert [deflate.compress(data) for data in (b"", b"")] == [b"\x00", b"\x00"]
        deflate.compress(b"between")
        assert deflate.compress(b"") == b"\x00"
    assert PerMessageDeflate().decompress(b"\x00", 0) == b""


def test_a_second_message_is_shorter_when_the_context_is_taken_over_and_not_when_it_is_forgotten() -> None:
    data = b'{"type":"query","agents":["alpha","beta"]}'
    keeps = PerMessageDeflate()
    first, second = keeps.compress(data), keeps.compress(data)
    assert len(second) < len(first) / 3
    forgets = PerMessageDeflate(local_no_context_takeover=True)
    assert forgets.compress(data) == forgets.compress(data) == first


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.builds(lambda data, times: data * times, st.binary(max_size=50), st.sampled_from([1, 3, 1000]))),
    st.integers(8, 15),
    st.integers(0, 9),
    st.integers(1, 9),
)
def test_each_message_of_a_sender_that_forgets_inflates_alone(
    messages: list[bytes], bits: int, level: int, mem_level: int
) -> None:
    """Though the same deflater goes on: a full flush lets nothing refer back over it."""
    sender = PerMessageDeflate(
        local_no_context_takeover=True, local_max_window_bits=bits, level=level, mem_level=mem_level
    )
    for message in [*messages, *messages]:
        assert zlib.decompressobj(-bits).decompress(sender.compress(message) + TAIL) == message


def inflate_strictly(inflater: zlib._Decompress, data: bytes) -> bytes:
    """One byte at a time: zlib lets references reach over the window into what the same call has written."""
    out = bytearray()
    while True:
        byte = inflater.decompress(data, 1)
        data = inflater.unconsumed_tail
        out += byte
        if not byte and not data:
            return bytes(out)


@pytest.mark.parametrize("level", [0, 1, 6, 9])
def test_a_window_of_8_bits_is_kept_though_zlib_cannot_deflate_with_it(level: int) -> None:
    chance = random.Random(level)
    parts = [chance.randbytes(distance) * 3 for distance in range(3, 600, 7)]  # repeats at every distance
    plain = b"".join(parts)

    def stream(bits: int) -> bytes:
        sender = PerMessageDeflate(local_max_window_bits=bits, level=level)
        return b"".join(sender.compress(part) + TAIL for part in parts)

    assert inflate_strictly(zlib.decompressobj(-8), stream(8)) == plain
    if level:  # level 0 refers back to nothing
        with pytest.raises(zlib.error, match="distance too far back"):
            inflate_strictly(zlib.decompressobj(-8), stream(10))
    with pytest.raises(ValueError, match="Invalid initialization option"):
        zlib.compressobj(1, zlib.DEFLATED, -8)


def test_a_message_inflates_in_any_parts() -> None:
    plain = b"".join(b"%d " % number for number in range(5000))
    packed = PerMessageDeflate().compress(plain)
    for step in (1, 7, 1000, len(packed)):
        receiver = PerMessageDeflate()
        out = b""
        for start in range(0, len(packed), step):
            part = packed[start : start + step]
            out += receiver.decompress(part, len(plain) - len(out), is_final=start + step >= len(packed))
        assert out == plain


def test_a_receiver_that_may_forget_drops_its_inflater_only_at_the_end_of_a_message() -> None:
    receiver = PerMessageDeflate(remote_no_context_takeover=True)
    packed = PerMessageDeflate().compress(b"one two one two one two")
    for _ in range(2):
        assert receiver.decompress(packed[:5], 100, is_final=False) + receiver.decompress(packed[5:], 100) == (
            b"one two one two one two"
        )


@pytest.mark.parametrize("limit", [0, 1, 100, 20_000])
def test_the_limit_is_exact(limit: int) -> None:
    for fill in (bytes(limit + 1), random.Random(1).randbytes(limit + 1)):
        assert PerMessageDeflate().decompress(PerMessageDeflate().compress(fill[:limit]), limit) == fill[:limit]
        with pytest.raises(MessageTooBig):
            PerMessageDeflate().decompress(PerMessageDeflate().compress(fill), limit)


def test_a_bomb_inflates_to_no_more_than_the_limit() -> None:
    bomb = PerMessageDeflate().compress(bytes(32 * 2**20))
    tracemalloc.start()
    try:
        with pytest.raises(MessageTooBig):
            PerMessageDeflate().decompress(bomb, 100_000)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("data", [b"\xff\xff\xff", b"\x06", b"\x00\x01\x00\x00\x00", b"\x02\x00\x00"])
def test_what_is_no_deflate_stream_is_a_violation(data: bytes) -> None:
    with pytest.raises(ProtocolViolation, match="no deflate stream"):
        PerMessageDeflate().decompress(data, 100)


def test_a_reference_to_what_has_left_the_agreed_window_is_a_violation() -> None:
    plain = random.Random(1).randbytes(2000)
    sender = PerMessageDeflate()
    first, second = sender.compress(plain), sender.compress(plain)
    assert len(second) < 100
    for bits, is_kept in ((15, True), (11, True), (10, False), (9, False)):
        receiver = PerMessageDeflate(remote_max_window_bits=bits)
        assert receiver.decompress(first, 2000) == plain
        if is_kept:
            assert receiver.decompress(second, 2000) == plain
        else:
            with pytest.raises(ProtocolViolation, match="no deflate stream"):
                receiver.decompress(second, 2000)


# -- BFINAL (7.2.3.4)


def final(data: bytes) -> bytes:
    """``data`` as a stream that ends with BFINAL, as a sender makes it that has no flush."""
    deflater = zlib.compressobj(6, zlib.DEFLATED, -15)
    return deflater.compress(data) + deflater.flush()


def test_messages_whose_sender_ends_each_stream_with_bfinal_are_read_one_after_the_other() -> None:
    receiver = PerMessageDeflate()
    for message in (b"first", b"", b"second " * 1000, b"third"):
        assert receiver.decompress(final(message) + b"\x00", 10_000) == message
    assert receiver.decompress(PerMessageDeflate().compress(b"usual"), 10_000) == b"usual"


def test_several_streams_in_one_message_make_one_text_within_one_limit() -> None:
    packed = final(b"one ") + final(b"two ") + PerMessageDeflate().compress(b"three")
    assert PerMessageDeflate().decompress(packed, 13) == b"one two three"
    with pytest.raises(MessageTooBig):
        PerMessageDeflate().decompress(packed, 12)
    with pytest.raises(MessageTooBig):
        PerMessageDeflate().decompress(packed, 3)


def test_after_bfinal_a_reference_into_the_same_payload_holds_and_one_further_back_is_a_violation() -> None:
    deflater = zlib.compressobj(6, zlib.DEFLATED, -15, zdict=b"some words to be found")
    again = deflater.compress(b"some words to be found") + deflater.flush(zlib.Z_SYNC_FLUSH)
    packed = final(b"some words to be found") + again[:-4]
    assert PerMessageDeflate().decompress(packed, 100) == b"some words to be found" * 2
    receiver = PerMessageDeflate()
    receiver.decompress(PerMessageDeflate().compress(b"some words to be found"), 100)
    with pytest.raises(ProtocolViolation, match="no deflate stream"):
        receiver.decompress(final(b"") + again[:-4], 100)


def test_a_payload_of_thousands_of_streams_is_given_up() -> None:
    with pytest.raises(ProtocolViolation, match="too many deflate streams"):
        PerMessageDeflate().decompress(b"\x03\x00" * 100_000, 100)
