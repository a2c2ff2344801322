"""`make advise`: whether advice to clients does what it says, on one real broker."""
