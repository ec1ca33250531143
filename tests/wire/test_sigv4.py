"""Signatures against botocore's own signers."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import hmac
import random
import zlib
from urllib.parse import quote, urlsplit

import botocore.auth
import pytest
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given, settings
from hypothesis import strategies as st

from clary.doors.wire import sigv4
from clary.doors.wire.authentication import Authenticator
from clary.doors.wire.errors import WireError
from clary.doors.wire.message import Request
from clary.governance.model import CredentialsExpired, Identity
from clary.kernel.clock import now
from clary.kernel.errors import Forbidden

KEY, SECRET = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
EMPTY = hashlib.sha256(b"").hexdigest()
SAFE = "-._~/"

paths = st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=8), max_size=4).map(
    lambda parts: "/" + "/".join(quote(part, safe="~") for part in parts)
)
queries = st.lists(
    st.tuples(st.text("ab+ é/=&?.~", max_size=4), st.text("ab+ é/=&?.~", max_size=4)), max_size=4
).map(lambda pairs: "&".join(f"{quote(k, safe='-_.~')}={quote(v, safe='-_.~')}" for k, v in pairs))
headers = st.dictionaries(
    st.sampled_from(["X-Amz-Meta-A", "Content-Type", "X-Amz-Target", "X-Amz-Meta-Zz"]),
    st.text("ab \t;,=é", min_size=1, max_size=12).map(str.strip).filter(bool),
)


class Keys:
    """The smallest governance there can be."""

    owner = Identity("123456789012", "ClaryRole", "owner", KEY, SECRET, is_owner=True)

    def authenticate(self, access_key_id, session_token=None):
        if session_token == "old":
            raise CredentialsExpired("a", now())
        if access_key_id != KEY or session_token not in (None, "session token"):
            raise Forbidden("key", "sign", "requests")
        return self.owner


def received(aws):
    """Turn what botocore signed into what a server gets."""
    url = urlsplit(aws.url)
    sent = {name.lower(): str(value) for name, value in aws.headers.items()}
    sent.setdefault("host", url.netloc)
    body = aws.data if isinstance(aws.data, bytes) else b""
    return Request(aws.method, url.path or "/", url.query, sent, (body,))


def signed(service, *, method="POST", path="/", query="", body=b"", token=None, **extra):
    url = f"http://127.0.0.1:1{path}" + (f"?{query}" if query else "")
    aws = AWSRequest(method=method, url=url, data=body, headers=extra.pop("headers", {}))
    signer = botocore.auth.S3SigV4Auth if service == "s3" else botocore.auth.SigV4Auth
    signer(Credentials(KEY, SECRET, token), service, "us-east-1").add_auth(aws)
    return received(aws)


def identify(request, service, *, required=True, keys=None):
    claim = sigv4.read_claim(request)
    return Authenticator(keys or Keys(), required=required).identify(request, claim, service)


def refused(request, service):
    with pytest.raises(WireError) as error:
        identify(request, service)
    return error.value.code


def changed(request, **members):
    return Request(
        **{name: members.get(name, getattr(request, name)) for name in request.__slots__}
    )


@settings(max_examples=300)
@given(
    st.sampled_from(["s3", "sagemaker", "sts"]),
    st.sampled_from(["GET", "PUT", "POST", "DELETE", "HEAD"]),
    paths,
    queries,
    headers,
    st.tuples(st.binary(max_size=40), st.sampled_from([None, "session token"])),
)
def test_what_botocore_signs_is_accepted_and_nothing_else(
    service, method, path, query, extra, rest
):
    body, token = rest
    request = signed(
        service, method=method, path=path, query=query, body=body, token=token, headers=extra
    )
    assert identify(request, service).account == "123456789012"
    other = "SignatureDoesNotMatch" if service in ("s3", "sts") else "InvalidSignatureException"
    for wrong in (
        changed(request, method="PATCH"),
        changed(request, query=f"{query}&z=1"),
        changed(request, path=f"{path}/z"),
        changed(request, headers={**request.headers, "host": "elsewhere"}),
    ):
        assert refused(wrong, service) == other
    if service != "s3":
        assert refused(changed(request, body=(body + b"x",)), service) == other


def presigned(query="", headers=None, *, expires=60, token=None, method="GET"):
    url = "http://127.0.0.1:1/bucket/a%20key" + (f"?{query}" if query else "")
    aws = AWSRequest(method=method, url=url, headers=headers or {})
    signer = botocore.auth.S3SigV4QueryAuth(
        Credentials(KEY, SECRET, token), "s3", "us-east-1", expires=expires
    )
    signer.add_auth(aws)
    return received(aws)


@pytest.mark.parametrize("token", [None, "session token"])
def test_presigned_queries(token):
    request = presigned("response-content-type=a%2Fb&z=", token=token)
    assert identify(request, "s3").name == "ClaryRole/owner"
    wrong = changed(request, query=request.query.replace("a%2Fb", "c%2Fb"))
    assert refused(wrong, "s3") == "SignatureDoesNotMatch"


def test_a_presigned_query_expires(monkeypatch):
    request = presigned(expires=60)
    claim = sigv4.read_claim(request)
    sigv4.check_time(claim, now() + dt.timedelta(seconds=50))
    with pytest.raises(WireError) as error:
        sigv4.check_time(claim, now() + dt.timedelta(seconds=70))
    assert (error.value.code, error.value.message) == ("AccessDenied", "Request has expired")


@pytest.mark.parametrize("expires", [0, 604_801, "x"])
def test_a_presigned_query_may_not_live_too_long(expires):
    request = presigned(expires=expires)
    with pytest.raises(WireError, match="signature"):
        sigv4.read_claim(request)


@pytest.mark.parametrize("query", ["", "versionId=a%20b", "response-content-type=x%2Fy&other=1"])
@pytest.mark.parametrize("token", [None, "session token"])
def test_version_2_queries(query, token):
    url = "http://127.0.0.1:1/bucket/a%20key" + (f"?{query}" if query else "")
    aws = AWSRequest(method="GET", url=url, headers={"x-amz-meta-b": "c"})
    botocore.auth.HmacV1QueryAuth(Credentials(KEY, SECRET, token), expires=60).add_auth(aws)
    del aws.headers["Date"]
    request = received(aws)
    assert identify(request, "s3").name == "ClaryRole/owner"
    assert refused(changed(request, method="PUT"), "s3") == "SignatureDoesNotMatch"
    assert refused(changed(request, path="/bucket/other"), "s3") == "SignatureDoesNotMatch"
    later = request.query.replace("Expires=1", "Expires=2")
    assert refused(changed(request, query=later), "s3") == "SignatureDoesNotMatch"


def test_version_2_queries_expire():
    aws = AWSRequest(method="GET", url="http://127.0.0.1:1/b/k")
    botocore.auth.HmacV1QueryAuth(Credentials(KEY, SECRET), expires=-5).add_auth(aws)
    del aws.headers["Date"]
    assert refused(received(aws), "s3") == "AccessDenied"


@pytest.mark.parametrize(
    ("service", "codes"),
    [
        ("s3", ("AccessDenied", "InvalidAccessKeyId", "ExpiredToken")),
        ("sts", ("MissingAuthenticationToken", "InvalidClientTokenId", "ExpiredToken")),
        (
            "sagemaker",
            ("MissingAuthenticationToken", "UnrecognizedClientException", "ExpiredTokenException"),
        ),
    ],
)
def test_refusals_are_in_the_words_of_the_service(service, codes):
    request = signed(service)
    missing = {name: text for name, text in request.headers.items() if name != "authorization"}
    unknown = request.headers["authorization"].replace(KEY, "AKIDOTHER")
    assert (
        refused(changed(request, headers=missing), service),
        refused(changed(request, headers={**request.headers, "authorization": unknown}), service),
        refused(signed(service, token="old"), service),
    ) == codes


@pytest.mark.parametrize("minutes", [-16, 16])
def test_a_clock_that_is_wrong_is_named(minutes, monkeypatch):
    at = dt.datetime.now(dt.UTC).replace(tzinfo=None) + dt.timedelta(minutes=minutes)
    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda: at)
    assert refused(signed("sagemaker"), "sagemaker") == "RequestTimeTooSkewed"


def test_a_date_header_will_do():
    aws = AWSRequest(method="POST", url="http://127.0.0.1:1/", headers={"Date": "x"})
    botocore.auth.SigV4Auth(Credentials(KEY, SECRET), "sts", "us-east-1").add_auth(aws)
    assert "X-Amz-Date" not in aws.headers
    assert identify(received(aws), "sts").account == "123456789012"


def test_unsigned_amz_headers_are_refused_by_s3():
    request = signed("s3", method="PUT", path="/b/k")
    sneaked = {**request.headers, "x-amz-copy-source": "/other/key"}
    assert refused(changed(request, headers=sneaked), "s3") == "AccessDenied"


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        "Basic abc",
        "AWS key:signature",
        "AWS4-HMAC-SHA256",
        "AWS4-HMAC-SHA256 Credential=a, SignedHeaders=host, Signature=b",
        "AWS4-HMAC-SHA256 Credential=a/20240101/r/s/aws4_request, SignedHeaders=host",
        "AWS4-HMAC-SHA256 Credential=a/20240101/r/s/aws4_request, SignedHeaders=x, Signature=b",
        "AWS4-HMAC-SHA256 Credential=////aws4_request, SignedHeaders=host, Signature=b",
        "AWS4-HMAC-SHA256 Credential=a/20240101/../s/aws4_request, SignedHeaders=host, Signature=",
        "AWS4-HMAC-SHA256 Credential=a/20240101/A/s/aws4_request, SignedHeaders=host, Signature=b",
        "AWS4-HMAC-SHA256 ,,,===",
    ],
)
def test_malformed_signatures_are_refused_with_what_is_legal(authorization):
    with pytest.raises(WireError) as error:
        sigv4.read_claim(Request("POST", "/", headers={"authorization": authorization}))
    assert error.value.code == "IncompleteSignature"


@given(
    st.text(max_size=80),
    st.text("20240131TZ:ab", max_size=20),
    st.text("X-AmzSignture=&%", max_size=60),
)
def test_hostile_signatures_never_break_the_reader(authorization, date, query):
    for request in (
        Request("GET", "/", query, {"authorization": authorization, "x-amz-date": date}),
        Request("GET", "/", f"X-Amz-Signature=a&{query}", {}),
        Request("GET", "/", f"Signature=a&AWSAccessKeyId=b&Expires={date}&{query}", {}),
    ):
        try:
            claim = sigv4.read_claim(request)
            if claim is not None:
                sigv4.check_time(claim, now())
                identify(request, "s3")
        except WireError:
            pass


def test_without_authentication_a_known_key_still_says_who_it_is():
    class Two(Keys):
        def authenticate(self, access_key_id, session_token=None):
            if access_key_id == "OTHER":
                return Identity("999999999999", "R", "s", "OTHER", "x")
            return super().authenticate(access_key_id, session_token)

    wrong = Request("GET", "/", "AWSAccessKeyId=OTHER&Signature=zz&Expires=1", {})
    assert identify(wrong, "s3", required=False, keys=Two()).account == "999999999999"
    unknown = Request("GET", "/", "AWSAccessKeyId=NOBODY&Signature=zz&Expires=1", {})
    assert identify(unknown, "s3", required=False).account == "123456789012"
    assert identify(Request("GET", "/"), "s3", required=False).account == "123456789012"


class Chunks:
    """A client's side of ``aws-chunked``, written from the specification."""

    def __init__(self, kind, *, trailer=b"", length=None):
        self.trailer = trailer
        names = {"x-amz-trailer": trailer.partition(b":")[0].decode()} if trailer else {}
        if length is not None:
            names["x-amz-decoded-content-length"] = str(length)
        request = signed("s3", method="PUT", path="/b/k")
        extra = {**names, "x-amz-content-sha256": kind, "x-amz-date": request.headers["x-amz-date"]}
        claim = sigv4.Claim(
            "header",
            KEY,
            "",
            stamp=extra["x-amz-date"],
            region="us-east-1",
            service="s3",
            headers=("host", *sorted(extra)),
        )
        bare = Request("PUT", "/b/k", "", {"host": "h", **extra})
        self.key = sigv4.signing_key(SECRET, claim)
        text = sigv4.string_to_sign(claim, sigv4.canonical_request(bare, claim, kind))
        self.seed = sigv4.sign(self.key, text)
        extra["authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={KEY}/{claim.scope},"
            f"SignedHeaders={';'.join(claim.headers)},Signature={self.seed}"
        )
        self.claim = claim
        self.headers = {"host": "h", **extra}
        self.previous = self.seed

    def sign(self, kind, *hashes):
        parts = [f"AWS4-HMAC-SHA256-{kind}", self.claim.stamp, self.claim.scope, self.previous]
        text = "\n".join([*parts, *hashes])
        self.previous = hmac.new(self.key, text.encode(), "sha256").hexdigest()
        return self.previous.encode()

    def frame(self, chunks, *, sign=True):
        out = b""
        for chunk in [*chunks, b""]:
            signature = self.sign("PAYLOAD", EMPTY, hashlib.sha256(chunk).hexdigest())
            extension = b";chunk-signature=" + signature if sign else b""
            out += b"%x%s\r\n%s%s" % (len(chunk), extension, chunk, b"\r\n" if chunk else b"")
        if self.trailer:
            out += self.trailer + b"\r\n"
            if sign:
                digest = hashlib.sha256(self.trailer + b"\n").hexdigest()
                out += b"x-amz-trailer-signature:" + self.sign("TRAILER", digest) + b"\r\n"
        return out + b"\r\n"

    def open(self, framed):
        rng = random.Random(len(framed))
        pieces = []
        while framed:
            cut = rng.randint(1, 9)
            pieces.append(framed[:cut])
            framed = framed[cut:]
        request = Request("PUT", "/b/k", "", self.headers, pieces)
        claim = sigv4.read_claim(request)
        authenticator = Authenticator(Keys(), required=True)
        identity = authenticator.identify(request, claim, "s3")
        return authenticator.open_body(request, claim, identity)


SIGNED = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
UNSIGNED = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
CRC = b"x-amz-checksum-crc32:MO/dQw=="  # of b"abc" * 3
bodies = st.lists(st.binary(min_size=1, max_size=30), max_size=4)


@given(bodies)
def test_signed_chunks(chunks):
    client = Chunks(SIGNED)
    framed = client.frame(chunks)
    assert b"".join(client.open(framed)) == b"".join(chunks)


@given(bodies.filter(bool), st.data())
def test_any_change_of_signed_chunks_is_refused_before_the_end(chunks, data):
    client = Chunks(SIGNED)
    framed = bytearray(client.frame(chunks))
    at = data.draw(st.integers(0, len(framed) - 3))
    framed[at] ^= data.draw(st.integers(1, 255))
    body = client.open(bytes(framed))
    try:
        got = b"".join(body)
    except WireError:
        return
    assert got == b"".join(chunks)  # the change was one of case or blanks in the framing


def crc_trailer(content):
    return b"x-amz-checksum-crc32:" + base64.b64encode(zlib.crc32(content).to_bytes(4, "big"))


@pytest.mark.parametrize(("kind", "sign"), [(f"{SIGNED}-TRAILER", True), (UNSIGNED, False)])
def test_trailing_checksums(kind, sign):
    client = Chunks(kind, trailer=crc_trailer(b"abcdef"))
    body = client.open(client.frame([b"abc", b"def"], sign=sign))
    assert b"".join(body) == b"abcdef"
    assert dict(body.trailers) == {
        "x-amz-checksum-crc32": crc_trailer(b"abcdef").partition(b":")[2].decode()
    }
    client = Chunks(kind, trailer=crc_trailer(b"abcdef"))
    with pytest.raises(WireError) as error:
        b"".join(client.open(client.frame([b"abc", b"deg"], sign=sign)))
    assert error.value.code == "BadDigest"


def test_a_trailer_that_is_changed_is_refused():
    client = Chunks(f"{SIGNED}-TRAILER", trailer=crc_trailer(b"abc"))
    framed = client.frame([b"abc"]).replace(crc_trailer(b"abc"), crc_trailer(b"abd"))
    with pytest.raises(WireError) as error:
        b"".join(client.open(framed))
    assert error.value.code == "SignatureDoesNotMatch"


@pytest.mark.parametrize(
    ("framed", "code"),
    [
        (b"", "IncompleteBody"),
        (b"3\r\nab", "IncompleteBody"),
        (b"3\r\nabc\r\n", "IncompleteBody"),
        (b"3\r\nabcd\r\n0\r\n\r\n", "InvalidRequest"),
        (b"zz\r\n", "InvalidRequest"),
        (b"-1\r\n", "InvalidRequest"),
        (b"fffffffffffffffff\r\n", "InvalidRequest"),
        (b"3" * 100_000, "InvalidRequest"),
        (b"3\r\nabc\r\n0\r\n\r\n", "InvalidRequest"),  # its trailer is missing
        (b"3\r\nabc\r\n0\r\n" + b"a:b\r\n" * 40 + b"\r\n", "InvalidRequest"),
        (b"0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n", "IncompleteBody"),  # shorter than it says
    ],
)
def test_broken_framing_is_refused(framed, code):
    client = Chunks(UNSIGNED, trailer=b"x-amz-checksum-crc32:AAAAAA==", length=3)
    with pytest.raises(WireError) as error:
        b"".join(client.open(framed))
    assert error.value.code == code


def test_a_checksum_that_is_not_verified_is_refused():
    client = Chunks(UNSIGNED, trailer=b"x-amz-checksum-xxhash64:AAAA")
    with pytest.raises(WireError, match="legal: x-amz-checksum-crc32") as error:
        client.open(b"0\r\n\r\n")
    assert error.value.status == 501


@given(st.binary(max_size=200), st.booleans())
def test_hostile_framing_never_breaks_the_reader(framed, trailed):
    client = Chunks(UNSIGNED, trailer=b"x-amz-checksum-sha1:AAAA" if trailed else b"")
    try:
        for piece in client.open(framed):
            assert piece in framed
    except WireError:
        pass


def test_a_plain_body_must_have_the_digest_that_was_signed():
    request = signed("s3", method="PUT", path="/b/k", body=b"abc")
    authenticator = Authenticator(Keys(), required=True)
    claim = sigv4.read_claim(request)
    identity = authenticator.identify(request, claim, "s3")
    assert b"".join(authenticator.open_body(request, claim, identity)) == b"abc"
    other = authenticator.open_body(changed(request, body=(b"abd",)), claim, identity)
    with pytest.raises(WireError) as error:
        b"".join(other)
    assert error.value.code == "XAmzContentSHA256Mismatch"


@pytest.mark.parametrize("words", ["", "x", "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD"])
def test_other_kinds_of_payload_are_refused(words):
    request = signed("s3", method="PUT", path="/b/k")
    assert refused(
        changed(request, headers={**request.headers, "x-amz-content-sha256": words}), "s3"
    ) in ("InvalidArgument", "NotImplemented")
