"""How a run is made: data, model, training, and what is measured on the way."""
