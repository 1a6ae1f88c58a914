"""Callbacks on their way (spec/privacy.md, 4.2; spec/connections.md, 3.8)."""

import base64

import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from actors.outputs.egress import EgressRules
from actors.privacy.callbacks import SignedPost
from tests.actors.forwarding.support import Receiver
from tests.signing import DOMAIN, pair, signer


@pytest.mark.parametrize(
    ("status", "is_taken"), [(200, True), (202, True), (302, False), (401, False), (500, False)]
)
async def test_a_callback_is_signed_and_taken_by_2xx_alone(status: int, is_taken: bool) -> None:
    receiver = Receiver(lambda _: web.Response(status=status, headers={"Location": "/other"}))
    await receiver.start()
    post = SignedPost(signer(), EgressRules(["127.0.0.1"]))
    assert await post(receiver.url, "3.0", b'{"a":1}') is is_taken
    [(headers, body)] = receiver.requests
    assert (headers["content-type"], body) == ("application/json", b'{"a":1}')
    assert headers["x-opendsr-processor-domain"] == DOMAIN
    key = x509.load_pem_x509_certificate(pair().certificate).public_key()
    assert isinstance(key, rsa.RSAPublicKey)
    signature = base64.b64decode(headers["x-opendsr-signature"])
    key.verify(signature, body, padding.PKCS1v15(), hashes.SHA256())
    await receiver.stop()


async def test_a_callback_goes_nowhere_that_is_not_open() -> None:
    receiver = Receiver()
    await receiver.start()
    for rules in (EgressRules(), EgressRules(["10.0.0.0/8"])):
        assert not await SignedPost(signer(), rules)(receiver.url, "3.0", b"{}")
    by_name = receiver.url.replace("127.0.0.1", "localhost")
    assert not await SignedPost(signer(), EgressRules())(by_name, "1.0", b"{}")
    assert receiver.requests == []
    await receiver.stop()
    assert not await SignedPost(signer(), EgressRules(["127.0.0.1"]))(receiver.url, "3.0", b"{}")
