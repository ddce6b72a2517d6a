"""Properties of structures, such as a HOMO-LUMO gap: a head on the features of any network."""
