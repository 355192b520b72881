"""Judges as networks: the prompt as token ids, the score as label logits."""
