"""Screening: which APIs are fit to be used, by rules that can be read and edited (`rules.toml`)."""

from toolbench.screening.memory import changes
from toolbench.screening.rulebook import load as load_rules
from toolbench.screening.rulebook import shipped as shipped_rules
from toolbench.screening.screen import STAGE, TABLES, plan, screen, tonight

__all__ = ["STAGE", "TABLES", "changes", "load_rules", "plan", "screen", "shipped_rules", "tonight"]
