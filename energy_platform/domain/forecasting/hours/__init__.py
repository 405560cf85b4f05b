"""Forecasts of a fleet's energy by the half hour or hour, two local days ahead. Pure: frames in, frames out."""
