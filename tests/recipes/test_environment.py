"""What a run was made with."""

import torch

import regluon
from regluon import engine
from regluon.recipes import environment


def test_everything_is_text_by_topic():
    found = environment.everything()
    assert found["Versions"]["regluon"] == regluon.__version__
    assert found["Versions"]["torch"] == torch.__version__
    assert found["Machine"]["engine"] == engine.get().name
    assert "cpu(0)" in found["Machine"]["contexts"]
    assert "REGLUON_HOME" in found["Environment variables"]
    assert all(isinstance(v, str) and v for items in found.values() for v in items.values())


def test_a_missing_library_says_what_it_is_for(monkeypatch):
    monkeypatch.setattr(environment, "EXTRAS", {"no-such-library": "speed"})
    assert environment.extras() == {"no-such-library": "not installed (speed)"}
