"""Fixtures of the attacks; what they are made of is in attacker.py, a module whose name no other folder has."""
from attacker import *  # noqa: F401, F403
