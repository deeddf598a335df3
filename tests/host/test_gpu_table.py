"""B.4: the table from PCI id to what a card can do is data with its source, and every row of it leads to a plan."""

from __future__ import annotations

import re
from typing import Any

import pytest

from ai_services.host import gpu_table
from ai_services.host.plan import make_plan
from host.plan_facts import facts_with, settings

CARDS = gpu_table.cards()


def test_every_column_names_its_source() -> None:
    sources = gpu_table.table()["sources"]
    assert {"cards", "chips", "memory_mib", "architectures", "open_since", "branches", "ctranslate2", "ollama"} == set(
        sources
    )
    assert all(len(text) > 40 for text in sources.values())


def test_rows_are_many_sorted_and_once() -> None:
    ids = [row["id"] for row in gpu_table.table()["cards"]]
    assert len(ids) > 400
    assert ids == sorted(set(ids))
    assert gpu_table.TABLE.stat().st_size < 1_000_000


def test_a_row_has_the_figures_its_range_promises() -> None:
    for card in CARDS:
        inside = [
            name
            for name, rule in gpu_table.table()["architectures"].items()
            if any(int(low, 16) <= int(card.device, 16) <= int(high, 16) for low, high in rule["ranges"])
        ]
        # pci.ids has one GM204 and GM107 among ids of others; never two ranges for one id.
        assert inside == [card.architecture], card


@pytest.mark.parametrize(
    ("device", "name", "architecture", "capability", "memory_mib", "flavour"),
    [
        ("13f1", "Quadro M4000", "Maxwell", "5.2", 8192, "proprietary"),
        ("13ba", "Quadro K2200", "Maxwell", "5.0", 4096, "proprietary"),
        ("1bb3", "Tesla P4", "Pascal", "6.1", 8192, "proprietary"),
        ("15f8", "Tesla P100 PCIe 16GB", "Pascal", "6.0", 16384, "proprietary"),
        ("1db4", "Tesla V100 PCIe 16GB", "Volta", "7.0", 16384, "proprietary"),
        ("1eb8", "Tesla T4", "Turing", "7.5", 16384, "open"),
        ("20b5", "A100 PCIe 80GB", "Ampere", "8.0", 81920, "open"),
        ("2204", "GeForce RTX 3090", "Ampere", "8.6", 24576, "open"),
        ("27b8", "L4", "Ada Lovelace", "8.9", 24576, "open"),
        ("2331", "H100 PCIe", "Hopper", "9.0", 81920, "open"),
        ("2335", "H200 SXM 141GB", "Hopper", "9.0", 144384, "open"),
        ("2901", "B200", "Blackwell", "10.0", 184320, "open"),
        ("2b85", "GeForce RTX 5090", "Blackwell", "12.0", 32768, "open"),
    ],
)
def test_well_known_cards(
    device: str, name: str, architecture: str, capability: str, memory_mib: int, flavour: str
) -> None:
    card = gpu_table.find(f"0x{device.upper()}")
    assert (card.name, card.architecture, card.capability_text, card.memory_mib) == (
        name,
        architecture,
        capability,
        memory_mib,
    )
    assert card.flavours[0] == flavour


def test_blackwell_and_grace_hopper_have_the_open_module_only() -> None:
    assert gpu_table.find("2b85").flavours == ("open",)
    assert gpu_table.find("2342").flavours == ("open",)
    assert gpu_table.find("2331").flavours == ("open", "proprietary")


@pytest.mark.parametrize("card", CARDS, ids=lambda card: card.device)
def test_every_row_leads_to_a_plan(card: gpu_table.Card) -> None:
    plan = make_plan(facts_with(card.device), settings(ai_ollama_model="qwen2.5:0.5b", ai_whisper_model="tiny"))
    assert card.flavours, card
    small = card.memory_mib is not None and card.memory_mib < 2048
    assert not plan.refusals or small, plan.refusals
    driver = plan.driver
    assert driver.wanted
    assert driver.branch is not None
    assert driver.flavour in card.flavours
    assert card.last_branch is None or driver.branch <= card.last_branch
    assert driver.branch >= (card.first_branch or 0)
    # Ollama's floor.
    assert card.capability is not None
    assert driver.branch >= (570 if (5, 0) <= card.capability <= (6, 2) else 550)
    # Nothing before Volta runs float16; nothing below 6.0 has code in the wheels at all.
    if card.capability < (6, 0):
        assert (plan.whisper.device, plan.whisper.compute_type) == ("cpu", "int8")
    elif card.capability < (7, 0):
        assert plan.whisper.device == "cuda"
        assert "16" not in plan.whisper.compute_type
    else:
        assert (plan.whisper.device, plan.whisper.compute_type) == ("cuda", "float16")
    assert card.name in plan.plan[0]


@pytest.mark.parametrize(
    ("device", "architecture"),
    [("13ff", "Maxwell"), ("1bff", "Pascal"), ("1dff", "Volta"), ("21ff", "Turing"), ("25ff", "Ampere"),
     ("28ff", "Ada Lovelace"), ("23ff", "Hopper"), ("2fff", "Blackwell")],
)  # fmt: skip
def test_an_unknown_id_is_placed_by_its_range_and_its_memory_stays_unknown(device: str, architecture: str) -> None:
    card = gpu_table.find(device)
    assert (card.known, card.architecture, card.memory_mib) == (False, architecture, None)
    plan = make_plan(facts_with(device), settings())
    assert not plan.refusals
    assert plan.models.verdict == "unknown"
    assert "memory_unknown" in [note.code for note in plan.warnings]
    assert f"10de:{device}" in plan.plan[0]


def test_a_card_newer_than_the_table_gets_the_newest_branch_and_no_promise() -> None:
    plan = make_plan(facts_with("3021"), settings())
    newest = gpu_table.table()["branches"]["newest"]
    assert (plan.driver.branch, plan.driver.flavour) == (newest, "open")
    assert plan.models.verdict == "unknown"


@pytest.mark.parametrize("device", ["0fc6", "1180", "1024"])
def test_kepler_and_older_run_nothing_here(device: str) -> None:
    plan = make_plan(facts_with(device), settings())
    assert plan.accelerator == "cpu"
    assert "gpu_unusable" in [note.code for note in plan.warnings]
    wished = make_plan(facts_with(device), settings(ai_accelerator="nvidia"))
    assert [note.code for note in wished.refusals] == ["no_gpu"]
    assert "470" in wished.refusals[0].why


@pytest.mark.parametrize("bad", ["", "zz", "12345", "0x1ffff"])
def test_what_is_no_device_id_is_refused(bad: str) -> None:
    with pytest.raises(ValueError, match=r"device id|invalid literal"):
        gpu_table.find(bad)


def test_audio_functions_and_other_makers_are_no_gpu() -> None:
    audio: dict[str, Any] = {"vendor": "10de", "device": "0fbb", "class": "040300"}
    assert not gpu_table.is_gpu(audio)
    assert not gpu_table.is_gpu({"vendor": "1002", "device": "73bf", "class": "030000"})
    assert gpu_table.is_gpu({"vendor": "0x10DE", "device": "0x13f1", "class": "0x030200"})


def test_names_carry_no_brackets_of_the_database() -> None:
    assert not [card.name for card in CARDS if re.search(r"[\[\]]", card.name)]
