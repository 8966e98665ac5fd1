// Placeholder until clusterd's first file lands.
