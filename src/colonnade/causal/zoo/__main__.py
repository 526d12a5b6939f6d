"""Train models of the zoo again: all of them, or those named."""

import sys

from colonnade.causal.zoo import RECIPES, train

for chosen in sys.argv[1:] or RECIPES:
    print(train(chosen))
