"""Tests of the sample data: that it is what its README says, and really varied."""
