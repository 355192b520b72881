"""The client of the judge's server: pairs of segments in, p(identical) out."""
