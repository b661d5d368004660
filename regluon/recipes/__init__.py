"""Whole trainings, written with the public API only."""

from regluon.recipes import finetune as finetune
from regluon.recipes.settings import FinetuneSettings as FinetuneSettings
