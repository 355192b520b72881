"""A run as one HTML file, to be sent to somebody who has neither the run's folder nor this program."""
