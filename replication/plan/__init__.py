"""Which runs there are: experiments, step sizes, budgets and when a run is evaluated."""
