"""Unit tests of the lab itself: no engine, no network, no time that passes."""
