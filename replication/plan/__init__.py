"""The runs to make: experiments, step sizes, budgets and evaluation schedules."""
