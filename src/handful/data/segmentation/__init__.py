"""Photos with masks: what sets of them share, episodes drawn from them, and lists to train on."""
