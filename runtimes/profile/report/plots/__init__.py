"""Geometry of the plots of a profile's page; ``page/`` draws what is computed here.

Positions are percent of a plot's width and height, so that a plot fills whatever room a page gives
it while its text keeps its size.
"""
