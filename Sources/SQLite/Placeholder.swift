// Placeholder until SQLite's first file lands.
