"""Review: a person goes through the candidates of a slide and decides on each."""
