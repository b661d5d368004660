"""Passes: functions from graph to graph, in the orders in which programs are compiled."""
