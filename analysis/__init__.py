"""What each bit costs and what it buys: area, memory and performance models, synthesis, the study.

Needs neither torch nor amaranth.
"""
