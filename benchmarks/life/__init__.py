"""Generator of life: signals of many kinds, composed at random from a grammar of what signals do.

docs/life-generator.md describes the grammar. Kinds are drawn from a seed; each states what was planted and how many
requests are admissible. Nothing here knows a strategy.
"""
