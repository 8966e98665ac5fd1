// Placeholder until SMBServerCore's first file lands.
