"""Pure folds over the events of a run: the view, the report, the summary, the savings."""
