"""Forecasts of a meter's daily energy one to seven days ahead. Pure: frames in, frames out."""
