"""The tests mirror the house: tests/<room>/test_*.py; tests/support/ holds stand-ins for protocols."""
