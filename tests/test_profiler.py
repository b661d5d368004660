"""The profiler: operators with the lines that issued them, rows per lane, tables."""

import json
import time
from pathlib import Path

import pytest

import regluon as mx


HERE = Path(__file__).name


@pytest.fixture(params=["NaiveEngine", "LazyEngine", "ThreadedEngine"], autouse=True)
def engine(request):
    previous = mx.engine.set_type(request.param)
    yield request.param
    mx.profiler.stop()
    mx.profiler.dumps(reset=True)
    mx.engine.set_type(previous)


def trace(path: Path) -> list[dict]:
    mx.profiler.set_config(filename=str(path))
    mx.profiler.dump()
    return json.loads(path.read_text())["traceEvents"]


def operators(events: list[dict]) -> dict[str, dict]:
    return {event["name"]: event for event in events if event.get("cat") == "operator"}


def test_time_belongs_to_the_line_that_issued_the_operator_not_to_the_one_that_waited(tmp_path):
    x = mx.nd.ones((300, 300))
    x.wait_to_read()
    mx.profiler.set_state("run")
    y = mx.nd.dot(x, x)  # this line
    y.asnumpy()
    mx.profiler.set_state("stop")
    mx.nd.tanh(x).asnumpy()
    found = operators(trace(tmp_path / "trace.json"))
    lines = Path(__file__).read_text().splitlines()
    (issued,) = [n for n, line in enumerate(lines, 1) if line.endswith("# this line")]
    assert found["dot"]["args"]["line"].endswith(f"{HERE}:{issued}")
    assert found["dot"]["dur"] > 0
    assert "tanh" not in found


def test_every_lane_has_a_row_with_its_name(tmp_path, engine):
    x = mx.nd.ones((300, 300))
    mx.profiler.start()
    y = mx.nd.dot(x, x)
    z = y.copyto(mx.cpu(1)) + 1
    z.wait_to_read()
    events = trace(tmp_path / "trace.json")
    names = {e["tid"]: e["args"]["name"] for e in events if e["name"] == "thread_name"}
    rows = {e["name"]: names[e["tid"]] for e in events if e.get("cat") == "operator"}
    if engine == "ThreadedEngine":
        assert rows["dot"] == "cpu(0)"
        assert rows["copy_to"] == "cpu(1) copy from cpu(0)"
        assert rows["add"] == "cpu(1)"
    else:
        assert set(rows.values()) == {"caller"}


def test_backward_and_updates_are_seen_too(tmp_path):
    net = mx.gluon.nn.Dense(200, in_units=200)
    net.initialize()
    trainer = mx.gluon.Trainer(net.collect_params(), "sgd")
    x = mx.nd.ones((200, 200))
    mx.profiler.start()
    with mx.autograd.record():
        loss = net(x).sum()
    loss.backward()
    trainer.step(1)
    mx.nd.waitall()
    found = operators(trace(tmp_path / "trace.json"))
    assert "backward" in found
    assert HERE in found["backward"]["args"]["line"]
    assert any("sgd" in name for name in found)


def test_paused_time_is_left_out():
    mx.profiler.start()
    mx.profiler.pause()
    mx.nd.waitall()
    mx.nd.exp(mx.nd.ones((3,))).wait_to_read()
    mx.profiler.resume()
    mx.nd.sin(mx.nd.ones((3,))).wait_to_read()
    table = mx.profiler.dumps(reset=True)
    assert "sin" in table
    assert "exp" not in table


def test_the_table_counts_and_sorts():
    mx.profiler.start()
    for _ in range(3):
        mx.nd.sin(mx.nd.ones((3,))).wait_to_read()
    mx.nd.exp(mx.nd.ones((3,))).wait_to_read()
    mx.profiler.stop()
    rows = json.loads(mx.profiler.dumps(format="json", sort_by="count"))
    calls = {row["name"]: row["count"] for row in rows}
    assert (calls["sin"], calls["exp"]) == (3, 1)
    assert [row["count"] for row in rows] == sorted(calls.values(), reverse=True)
    assert mx.profiler.dumps(reset=True) != mx.profiler.dumps()


def test_events_of_the_program_itself_are_in_the_trace(tmp_path):
    domain = mx.profiler.Domain("training")
    counter = domain.new_counter("images", 5)
    task = domain.new_task("epoch")
    task.start()
    with mx.profiler.scope("batch"):
        time.sleep(0.001)
    task.stop()
    counter += 3
    domain.new_marker("saved").mark()
    events = {e["name"]: e for e in trace(tmp_path / "trace.json")}
    assert events["epoch"]["dur"] >= events["batch"]["dur"] >= 1000
    assert events["images"]["args"] == {"images": 8}
    assert events["saved"]["ph"] == "i"


def test_wrong_settings_are_told_with_the_nearest_name():
    with pytest.raises(mx.MXNetError, match="filename"):
        mx.profiler.set_config(file_name="x.json")
    with pytest.raises(mx.MXNetError, match="'run' or 'stop'"):
        mx.profiler.set_state("on")
    with pytest.raises(mx.MXNetError, match="total"):
        mx.profiler.dumps(sort_by="time")
    with pytest.raises(mx.MXNetError, match="table"):
        mx.profiler.dumps(format="yaml")


def test_a_hybridized_block_is_one_task_where_its_operators_were_three(tmp_path):
    class Sum(mx.gluon.HybridBlock):
        def forward(self, a, b, c):
            return a + b + c + 1

    def tasks() -> list[str]:
        given = [mx.nd.ones((300, 300)) * number for number in range(3)]
        mx.nd.waitall()
        mx.profiler.dumps(reset=True)
        mx.profiler.start()
        result = net(*given).asnumpy()
        mx.profiler.stop()
        assert (result == 4).all()
        events = trace(tmp_path / "trace.json")
        return [event["name"] for event in events if event.get("cat") == "operator"]

    net = Sum(prefix="total_")
    assert tasks() == ["add", "add", "add"]
    net.hybridize()
    for _ in range(3):
        tasks()
    assert tasks() == ["total"]
