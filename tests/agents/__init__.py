"""The agents and the client of the model's server, against the stand-in."""
