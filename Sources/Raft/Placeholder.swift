// Placeholder until Raft's first file lands.
