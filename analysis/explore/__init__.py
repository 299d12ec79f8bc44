"""``pact-hw explore``: a declared space of designs, evaluated by the models, point by point and for good."""
