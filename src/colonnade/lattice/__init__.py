"""placeholder"""
from colonnade.lattice.action import ScalarAction
from colonnade.lattice.mcmc import *
