"""Rules: one language for the alerts that warn while a run goes on and the gates that fail a build at its end.

`rules_file` reads them, `metrics` has what they can be about, `evaluator` judges them once a second, `checks` at the end.
"""
