// Placeholder until RaftTests' first file lands.
