"""What is a secret is masked at any depth and in any spelling, and nothing else is."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lm_eval_safescale.secrets import (
    Mask,
    is_secret,
    mask_of,
    masked,
    masked_model_args,
    masked_pairs,
    secrets_in,
    secrets_of_environment,
    shown_address,
    without_secrets,
)

KEY = "sk-quite/secret+0123456789"
keys = st.text(
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./+=~",
    min_size=16,
    max_size=40,
).filter(
    lambda key: len(set(key)) > 7  # else it may stand in the rest of a text by chance
)
hosts = st.from_regex(r"[a-z][a-z0-9]{0,8}(\.[a-z]{2,5})?(:[1-9][0-9]{0,3})?", fullmatch=True)
paths = st.from_regex(r"(/[a-z0-9]{1,6}){0,3}/?", fullmatch=True)


# --- addresses ------------------------------------------------------------------------------------


@given(
    keys,
    hosts,
    paths,
    st.sampled_from(["http", "https"]),
    st.text("abcz0_-", min_size=1, max_size=8),
)
def test_a_key_anywhere_behind_the_path_or_before_the_host_is_masked_whatever_it_is_called(
    key, host, path, scheme, name
):
    safe = quote(key, safe="")
    for address in (
        f"{scheme}://{safe}@{host}{path}",
        f"{scheme}://me:{safe}@{host}{path}",
        f"{scheme}://me:{key.replace('/', '')}@{host}{path}",
        f"{scheme}://{host}{path}?{name}={safe}",
        f"{scheme}://{host}{path}?{name}={key}&more=1",
        f"{scheme}://{host}{path}?{key}",
        f"{scheme}://{host}{path}#{key}",
        f"{scheme}://{host}{path}?a=1#{name}={key}",
        # the host was forgotten
        f"{scheme}://{host}:{key.replace('/', '').replace(':', '')}{path}",
    ):
        for shown in (
            masked(address),
            masked(f"no answer from '{address}' today"),
            without_secrets({"base_url": [address]})["base_url"][0],
        ):
            assert safe not in shown
            assert key not in shown
            assert key.replace("/", "") not in shown


@given(hosts, paths, st.sampled_from(["http", "https"]))
def test_an_address_without_a_secret_stays_as_it_is(host, path, scheme):
    address = f"{scheme}://{host}{path}"
    assert masked(address) == shown_address(address) == without_secrets(address) == address
    assert list(secrets_in(address)) == []


@pytest.mark.parametrize(
    ("address", "written"),
    [
        ("https://me:pw@host/v1?api-version=3&api_key=abc#x", "https://***@host/v1?***"),
        ("http://[::1]:8000/v1?k=v", "http://[::1]:8000/v1?***"),
        ("http://host:8000?k=v", "http://host:8000?***"),
        ("http://host/v1#k", "http://host/v1?***"),
        ("http://me:hid/den@host/v1", "http://***@host/v1"),
        ("http://me:hid?den@host/v1", "http://***@?***"),
        ("http://me:hid#den@host/v1", "http://***@?***"),
        ("http://host:hidden/v1", "http://***@/v1"),
        ("http://hid@den@host", "http://***@host"),
    ],
)
def test_where_an_address_can_be_read_in_two_ways_the_larger_part_is_masked(address, written):
    assert masked(address) == written


@pytest.mark.parametrize(
    "address",
    [
        "sk-abcdefgh",
        "sk-abcdefgh:x",
        "http://host:hid/v1",
        "http://host hid",
        "",
        "http://[hid",
        "foo://hid",
    ],
)
def test_what_is_no_address_is_not_shown(address):
    assert shown_address(address) == "***"


def test_an_address_whose_scheme_was_forgotten_is_shown():
    assert shown_address("localhost:8000/v1") == "localhost:8000/v1"


@given(st.text(max_size=300))
def test_any_text_can_be_masked_twice_as_well_as_once(text):
    assert masked(masked(text)) == masked(text)
    masked_pairs(text), masked_model_args(text), shown_address(text), list(secrets_in(text))


# --- names ----------------------------------------------------------------------------------------

nested = st.recursive(
    st.just(KEY) | st.integers() | st.none(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["a", "b"]), inner, max_size=2)
    ),
    max_leaves=8,
)


@given(
    nested,
    st.sampled_from(
        [
            "api_key",
            "token",
            "hf_token",
            "Authorization",
            "header",
            "password",
            "accessToken",
            "x-api-key",
        ]
    ),
    st.data(),
)
def test_what_stands_under_a_secrets_name_is_masked_at_any_depth(value, name, data):
    wrapped: object = {name: value}
    for kind in data.draw(st.lists(st.sampled_from(["list", "dict"]), max_size=4)):
        wrapped = [wrapped] if kind == "list" else {"inner": wrapped, "draws": 5}
    written = json.dumps(without_secrets(wrapped))
    assert KEY not in written
    assert "***" in written


def test_what_stands_under_other_names_is_written_down():
    args = {
        "add_bos_token": True, "eos_token": "<|end|>", "think_end_token": "<|kept|>",
        "max_gen_toks": 3, "dtype": None, "tokenizer": "org/name", "deep": [{"top_p": 0.5}, "text"],
    }  # fmt: skip
    assert without_secrets(args) == args
    assert not any(map(is_secret, args))


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ('{"api_key": "sk-1 2"', '{"api_key": ***'),
        ("api_key=sk-3,model=m", "api_key=***,model=m"),
        ("{'hf_token': 'abc'}", "{'hf_token': ***}"),
        ("token=abc", "token=***"),
        ("Authorization: Bearer abcdefgh", "Authorization: *** ***"),
        ("sent Bearer abcdefgh", "sent Bearer ***"),
        ("KeyError: 'x'", "KeyError: 'x'"),
        ("401 Unauthorized: no", "401 Unauthorized: no"),
        ("the key: B", "the key: B"),
        ("unexpected token: }", "unexpected token: }"),
    ],
)
def test_in_a_text_a_secrets_name_masks_what_follows(text, written):
    assert masked_pairs(text) == written


def test_model_args_in_one_text_keep_all_but_their_secrets():
    given = "pretrained=org/m,base_url=http://host/v1?k=a,rest-of-it,api_key=b,dtype=float32"
    assert (
        masked_model_args(given)
        == "pretrained=org/m,base_url=http://host/v1?***,***,api_key=***,dtype=float32"
    )


# --- known secrets --------------------------------------------------------------------------------


def spellings(key: str) -> dict[str, str]:
    """Ways in which a server or a library may give a key back."""
    escaped = "".join(f"\\u{ord(each):04x}" for each in key)
    return {
        "as it is": key,
        "as JSON": json.dumps(key)[1:-1],
        "as JSON with slashes": key.replace("/", "\\/"),
        "escaped": escaped,
        "escaped in large letters": "".join(f"\\u{ord(each):04X}" for each in key),
        "escaped in part": f"{escaped[:6]}{key[1:-1]}\\u{ord(key[-1]):04x}",
        "escaped twice": json.dumps(escaped)[1:-1],
        "in a query": quote_plus(key),
        "in a path": quote(key, safe=""),
        "wholly by percent": "".join(f"%{ord(each):02X}" for each in key),
        "in Python": "".join(f"\\x{ord(each):02x}" for each in key),
        "in HTML": "".join(f"&#{ord(each)};" for each in key),
        "in HTML by sixteen": "".join(f"&#x{ord(each):X};" for each in key),
    }


@given(keys, st.text("abc <>{}\"'\\", max_size=20), st.text("abc <>{}\"'\\", max_size=20))
def test_a_known_secret_is_hidden_however_it_is_spelled(key, before, after):
    for how, spelled in spellings(key).items():
        hidden = Mask([key]).hide(f"{before} {spelled} {after}")
        assert hidden == f"{before} *** {after}", how


@given(
    keys,
    st.binary(max_size=7),
    st.binary(max_size=7),
    st.sampled_from([base64.b64encode, base64.urlsafe_b64encode]),
)
def test_a_known_secret_is_hidden_in_base64_whatever_stands_beside_it(key, before, after, encode):
    """As in `Authorization: Basic`: at most one byte of it can be told from what is left."""
    hidden = Mask([key]).hide(encode(before + key.encode() + after).decode())
    assert "***" in hidden
    for part in hidden.split("***"):
        assert len(part) <= 4 * (max(len(before), len(after)) // 3 + 2)


@given(st.text(max_size=200))
def test_a_text_without_the_secret_stays_as_it_is(text):
    assert Mask([KEY]).hide(text) == text
    assert Mask(["EMPTY", "", " "]).hide(text) == text


def test_names_and_values_are_hidden_at_any_depth():
    assert Mask([KEY]).hide_in({KEY: [{"a": f"x {KEY}"}, 1, None]}) == {
        "***": [{"a": "x ***"}, 1, None]
    }


def test_secrets_are_found_in_arguments_and_in_the_environment():
    args = {
        "base_url": (
            "https://me:p%40ssword@host/v1?api-version=2024-02-01&"
            "sig=0123456789abcdefgh#fragment-of-length"
        ),
        "header": {"Authorization": "Bearer abcdefgh", "deep": [{"x": "ijklmnop"}]},
        "dtype": "float32",
    }
    assert set(secrets_in(args)) == {
        "p%40ssword", "p@ssword", "0123456789abcdefgh", "fragment-of-length", "Bearer", "abcdefgh",
        "ijklmnop",
    }  # fmt: skip
    environ = {
        "OPENAI_API_KEY": "one", "HF_TOKEN": "two", "HTTPS_PROXY": "http://me:three@proxy:80",
        "HOME": "/root", "SAFESCALE_DATASET_ARGS": '{"token": "four", "path": "x"}',
        "SAFESCALE_COLUMNS": "{broken", "MONKEYS": "5", "SSH_AUTH_SOCK": "/s",
    }  # fmt: skip
    assert secrets_of_environment(environ) == {"one", "two", "three", "four"}


def test_a_key_of_the_environment_is_hidden_under_any_name(monkeypatch):
    monkeypatch.setenv("SOME_API_KEY", KEY)
    assert without_secrets({"model": [f"x{KEY}"]}) == {"model": ["x***"]}
    assert mask_of().hide(KEY) == "***"
