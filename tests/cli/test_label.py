"""`labelcrew label` as users run it: a process of its own, files in and out, no server and no database."""

from __future__ import annotations

import asyncio
import csv
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.openai_server import KEY, StandIn
from tests.support.shared_data import shared_data, shared_path

TEXTS = ["where is my refund", "which size fits me", "when does the delivery come"]


def _environment(home: Path, server: StandIn | None = None, **more: str) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("LABELCREW_", "OPENAI_"))}
    found = {**kept, "LABELCREW_DATA_DIR": str(home / "data"), "LABELCREW_FORBID_NETWORK": "true", **more}
    if server is not None:
        found |= {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": server.base_url, "LABELCREW_MODEL": "gpt-4.1-mini"}
    return found


def _label(home: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "cli.main", "label", *arguments],
        env=_environment(home, **more), capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip


async def _label_with(server: StandIn, home: Path, *arguments: str) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "cli.main", "label", *arguments,
        env=_environment(home, server), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


def _file(home: Path, texts: list[str], name: str = "in.csv", **columns: list[str]) -> Path:
    path = home / name
    with path.open("w", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow(["id", "text", *columns])
        for i, text in enumerate(texts):
            writer.writerow([f"r{i}", text, *(values[i] for values in columns.values())])
    return path


def _lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_two_class_names_are_enough_and_every_row_says_who_answered_and_why(tmp_path: Path) -> None:
    done = _label(tmp_path, str(_file(tmp_path, TEXTS)), "--classes", "refund,size,delivery", "--json")
    assert done.returncode == 0, done.stderr
    rows = _lines(tmp_path / "in.labels.jsonl")
    assert [(row["id"], row["label"]) for row in rows] == [("r0", "refund"), ("r1", "size"), ("r2", "delivery")]
    for row in rows:
        assert {"text", "probability", "confidence", "rationale", "model", "route", "cost_usd"} <= row.keys()
        assert (row["model"], row["route"], row["cost_usd"]) == ("local/minilm-l6", "local", 0.0)
    summary = json.loads(done.stdout.splitlines()[-1])
    assert (summary["labelled"], summary["failed"], summary["model"]) == (3, 0, "local/minilm-l6")


def test_gold_column_is_scored_and_not_shown_to_the_model(tmp_path: Path) -> None:
    source = _file(tmp_path, TEXTS, label=["refund", "size", "size"])
    done = _label(tmp_path, str(source), "--gold-column", "label", "--classes", "refund,size,delivery", "--json")
    scores = json.loads(done.stdout.splitlines()[-1])["scores"]
    assert scores["accuracy"] == pytest.approx(2 / 3, abs=1e-3)
    assert scores["completion"] == 1.0
    assert set(scores) == {"accuracy", "macro_f1", "ece", "auroc", "completion"}


def test_examples_teach_a_student(tmp_path: Path) -> None:
    examples = _file(tmp_path, [f"{t}, please, {i}" for t in TEXTS for i in range(4)], "gold.csv",
                     label=[c for c in ("refund", "size", "delivery") for _ in range(4)])  # fmt: skip
    done = _label(tmp_path, str(_file(tmp_path, TEXTS)), "--examples", str(examples))
    assert done.returncode == 0, done.stderr
    rows = _lines(tmp_path / "in.labels.jsonl")
    assert {row["route"] for row in rows} == {"student"}
    assert "verified" in str(rows[0]["rationale"])


@pytest.mark.parametrize("name", ["out.csv", "out.parquet", "out.tsv", "out.json"])
def test_output_has_the_format_of_its_ending(tmp_path: Path, name: str) -> None:
    target = tmp_path / name
    done = _label(tmp_path, str(_file(tmp_path, TEXTS)), "--classes", "refund,size,delivery", "--out", str(target))
    assert done.returncode == 0, done.stderr
    from formats.reading import open_rows
    from formats.rows import Row

    with open_rows(target) as rows:
        assert [row.text for row in rows if isinstance(row, Row)] == TEXTS


def test_spans_without_examples_say_that_some_must_be_marked_first(tmp_path: Path) -> None:
    labelset = tmp_path / "names.yaml"
    labelset.write_text("kind: spans\nclasses: [person, place]\n")
    done = _label(tmp_path, str(_file(tmp_path, ["Anna lives in York"])), "--labelset", str(labelset), "--json")
    assert json.loads(done.stdout.splitlines()[-1])["failed"] == 1
    assert "by hand first" in str(_lines(tmp_path / "in.labels.jsonl")[0]["error"])


async def test_language_model_costs_what_the_summary_says(tmp_path: Path) -> None:
    source = _file(tmp_path, [f"{text} number {i}" for i in range(10) for text in TEXTS])
    async with StandIn() as server:
        code, out, err = await _label_with(server, tmp_path, str(source), "--classes", "refund,size,delivery", "--json")
        calls = len(server.chats)
    assert code == 0, err
    summary = json.loads(out.splitlines()[-1])
    rows = _lines(tmp_path / "in.labels.jsonl")
    assert summary["cost_usd"] == pytest.approx(sum(float(str(row["cost_usd"])) for row in rows), abs=1e-6)
    assert summary["cost_usd"] > 0
    assert calls >= 3
    assert all(row["probability"] is not None for row in rows)


async def test_interrupted_run_continues_where_it_stopped(tmp_path: Path) -> None:
    source = _file(tmp_path, [f"{text} number {i}" for i in range(40) for text in TEXTS])
    arguments = [str(source), "--classes", "refund,size,delivery", "--concurrency", "1", "--json"]
    async with StandIn(latency=0.25) as server:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "cli.main", "label", *arguments,
            env=_environment(tmp_path, server), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        journal = tmp_path / ".in.labels.jsonl.journal"
        async with asyncio.timeout(60):
            while not journal.exists() or journal.read_bytes().count(b"\n") < 21:
                await asyncio.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, err = await process.communicate()
        assert process.returncode == 130
        assert b"Run the same command again" in err
        assert not (tmp_path / "in.labels.jsonl").exists()
        server.latency = 0.0
        before = len(server.chats)
        code, out, err_text = await _label_with(server, tmp_path, *arguments)
        assert code == 0, err_text
        assert len(server.chats) < before + 12
    assert json.loads(out.splitlines()[-1])["labelled"] == 120
    assert len(_lines(tmp_path / "in.labels.jsonl")) == 120
    assert not journal.exists()


async def test_used_up_budget_keeps_what_was_paid_for_and_says_how_to_go_on(tmp_path: Path) -> None:
    source = _file(tmp_path, [f"{text} number {i}" for i in range(100) for text in TEXTS])
    arguments = [str(source), "--classes", "refund,size,delivery", "--concurrency", "2", "--json"]
    async with StandIn() as server:
        code, _, err = await _label_with(server, tmp_path, *arguments, "--budget", "0.008")
        assert (code, "--budget" in err) == (3, True)
        code, out, _ = await _label_with(server, tmp_path, *arguments, "--budget", "5")
    assert code == 0
    assert json.loads(out.splitlines()[-1])["labelled"] == 300


async def test_refused_key_stops_at_once_and_is_not_printed(tmp_path: Path) -> None:
    source = _file(tmp_path, [f"{text} number {i}" for i in range(40) for text in TEXTS])
    async with StandIn() as server:
        environment = {**_environment(tmp_path, server), "OPENAI_API_KEY": "sk-very-wrong"}
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "cli.main", "label", str(source), "--classes", "refund,size", "--concurrency", "2",
            env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        _, err = await process.communicate()
        assert len(server.chats) <= 4
    assert process.returncode == 1
    assert b"refused the key" in err
    assert b"sk-very-wrong" not in err
    assert b"Traceback" not in err


@pytest.mark.parametrize(
    ("content", "arguments", "words"),
    [
        (b"", ("--classes", "a,b"), "empty"),
        (b"text\n", ("--classes", "a,b"), "no rows"),
        (b"text\nhello\n", (), "--classes"),
        (b"text\nhello\n", ("--classes", "a,A"), "share the name"),
        (b"text\nhello\n", ("--classes", "a,b", "--text-column", "body"), "body"),
        (b"text\nhello\n", ("--classes", "a,b", "--model", "local/unheard-of"), "local/minilm-l6"),
        (b"text\nhello\n", ("--classes", "a,b", "--model", "gpt-4.1-mini"), "OPENAI_API_KEY"),
        (b"text\nhello\n", ("--classes", "a,b", "--out", "x.docx"), "format"),
        (b"text\nhello\n", ("--labelset", "nowhere.yaml"), "nowhere.yaml"),
    ],
)
def test_bad_input_gets_one_clear_error(tmp_path: Path, content: bytes, arguments: tuple[str, ...], words: str) -> None:
    source = tmp_path / "in.csv"
    source.write_bytes(content)
    done = _label(tmp_path, str(source), *arguments)
    assert done.returncode == 1
    assert words in done.stderr.replace("\n", " ")
    assert "Traceback" not in done.stderr


def test_finished_output_is_not_overwritten_unless_told_to(tmp_path: Path) -> None:
    source = str(_file(tmp_path, TEXTS))
    assert _label(tmp_path, source, "--classes", "refund,size").returncode == 0
    again = _label(tmp_path, source, "--classes", "refund,size")
    assert (again.returncode, "--force" in again.stderr) == (1, True)
    assert _label(tmp_path, source, "--classes", "refund,size", "--force").returncode == 0


@shared_data("text/banking77")
def test_real_questions_are_labelled_from_77_names_alone(tmp_path: Path) -> None:
    rows = [json.loads(line) for line in shared_path("text/banking77/test.jsonl").read_text().splitlines()][::5]
    source = tmp_path / "in.jsonl"
    source.write_text("\n".join(json.dumps({"text": r["text"], "label": r["label"]}) for r in rows))
    done = _label(tmp_path, str(source), "--gold-column", "label", "--json")
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout.splitlines()[-1])
    assert summary["scores"]["accuracy"] >= 0.55
    assert summary["scores"]["completion"] == 1.0


async def test_target_error_routes_each_row_within_the_budget_and_says_why(tmp_path: Path) -> None:
    kinds = ("refund", "size", "delivery")
    source = _file(tmp_path, [f"{TEXTS[n % 3]}, order {n}" for n in range(90)])
    known = _file(
        tmp_path,
        [f"{TEXTS[n % 3]}, parcel {n}" for n in range(66)],
        "gold.csv",
        label=[kinds[n % 3] for n in range(66)],
    )
    async with StandIn() as server:
        code, out, err = await _label_with(
            server, tmp_path, str(source), "--examples", str(known), "--target-error", "0.02", "--budget", "0.05",
            "--json",
        )  # fmt: skip
    assert code == 0, err
    summary = json.loads(out.splitlines()[-1])
    assert summary["labelled"] == 90
    assert summary["cost_usd"] <= 0.05
    assert set(summary["routes"]) <= {"student", "llm", "crew", "human"}
    assert "expected:" in out + err
    rows = _lines(tmp_path / "in.labels.jsonl")
    assert all(row["route"] and row["route_reason"] for row in rows)


def test_target_error_without_a_key_leaves_unsure_rows_to_a_person(tmp_path: Path) -> None:
    source = _file(tmp_path, [*TEXTS, "call me back", "hello there", "thanks a lot", "what now"])
    done = _label(tmp_path, str(source), "--classes", "refund,size,delivery", "--target-error", "0.02")
    assert done.returncode == 0, done.stderr
    assert "need a person" in done.stdout + done.stderr
    refused = _label(tmp_path, str(source), "--classes", "a,b", "--target-error", "7", "--force")
    assert refused.returncode == 1
    assert "share of errors" in refused.stdout + refused.stderr
