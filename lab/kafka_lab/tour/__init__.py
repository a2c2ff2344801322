"""`make tour`: docs/tour.md, with what each command printed on a real cluster."""
