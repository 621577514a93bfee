"""Personal data can be read by its receiver, at its place, and by nobody else."""

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.sealing import (
    FieldCipher,
    NotReadable,
    Unsealer,
    blind_index,
    mask_id_number,
    mask_mobile,
    mask_name,
    new_field_key,
    new_key_pair,
    public_key_of,
    seal,
)

PLACE: dict[str, Any] = {"table": "contacts", "column": "mobile", "row": 7}


def test_a_box_opens_for_its_receiver_only():
    private, public = new_key_pair()
    other, _ = new_key_pair()
    box = seal(public, {"mobile": "13800138000", "name": "张三"})

    assert Unsealer(private).open(box) == {"mobile": "13800138000", "name": "张三"}
    assert public_key_of(private) == public
    assert seal(public, 1) != seal(public, 1)
    with pytest.raises(NotReadable):
        Unsealer(other).open(box)


@pytest.mark.parametrize("box", ["", "x", "AAAA", "é", base64.b64encode(b"x" * 90).decode()])
def test_a_broken_box_is_refused(box):
    with pytest.raises(NotReadable):
        Unsealer(new_key_pair()[0]).open(box)


@given(st.text())
def test_a_field_comes_back_as_it_was(value):
    cipher = FieldCipher({"v1": new_field_key()}, current="v1")

    assert cipher.decrypt(cipher.encrypt(value, **PLACE), **PLACE) == value


def test_a_field_moved_elsewhere_cannot_be_read():
    cipher = FieldCipher({"v1": new_field_key()}, current="v1")
    stored = cipher.encrypt("13800138000", **PLACE)

    for change in ({"table": "pets"}, {"column": "name"}, {"row": 8}):
        with pytest.raises(NotReadable):
            cipher.decrypt(stored, **{**PLACE, **change})


@pytest.mark.parametrize("stored", ["", "v1", "v1:", "v1:AAAA", "v1:%%", "v9:AAAA", "v1:é"])
def test_a_broken_field_is_refused(stored):
    with pytest.raises(NotReadable):
        FieldCipher({"v1": new_field_key()}, current="v1").decrypt(stored, **PLACE)


def test_keys_are_rotated_without_losing_what_was_written():
    old, new = new_field_key(), new_field_key()
    stored = FieldCipher({"v1": old}, current="v1").encrypt("secret", **PLACE)
    both = FieldCipher({"v1": old, "v2": new}, current="v2")

    assert both.is_old(stored)
    again = both.encrypt(both.decrypt(stored, **PLACE), **PLACE)
    assert not both.is_old(again)
    assert FieldCipher({"v2": new}, current="v2").decrypt(again, **PLACE) == "secret"


@pytest.mark.parametrize(
    ("keys", "current"),
    [
        ({}, "v1"),
        ({"v1": new_field_key()}, "v2"),
        ({"v:1": new_field_key()}, "v:1"),
        ({"v1": "AAAA"}, "v1"),
    ],
)
def test_odd_keys_are_refused_at_the_start(keys, current):
    with pytest.raises(ValueError):
        FieldCipher(keys, current=current)


def test_the_blind_index_is_the_known_one():
    """HMAC-SHA-256, computed independently."""
    assert blind_index(b"index-key", "110101200001010010") == (
        "0da8c3d8d37f3a2a3a62ed8ef61deab36b27f5e25afd619d9f1f41e6cfdf25cc"
    )


@pytest.mark.parametrize(
    ("name", "shown"),
    [("张三", "张*"), ("欧阳娜娜", "欧***"), ("李", "*"), ("", "*"), (" 王 ", "*")],
)
def test_a_name_shows_its_first_character(name, shown):
    assert mask_name(name) == shown


@pytest.mark.parametrize(
    ("mobile", "shown"),
    [
        ("13800138000", "138****8000"),
        ("+8613800138000", "138****8000"),
        ("86 13800138000", "138****8000"),
        ("1380013800", "****"),
        ("12345", "****"),
        ("not a number at all", "****"),
        ("", "****"),
    ],
)
def test_a_mobile_number_is_masked_and_nothing_odd_is_shown(mobile, shown):
    assert mask_mobile(mobile) == shown


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        ("110101200001010010", "110101********0010"),
        ("11010120000101001x", "110101********001x"),
        ("110101", "****"),
        ("11010120000101001", "****"),
        ("", "****"),
    ],
)
def test_a_resident_id_is_masked_and_nothing_odd_is_shown(number, shown):
    assert mask_id_number(number) == shown
