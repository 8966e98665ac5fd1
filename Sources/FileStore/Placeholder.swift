// Placeholder until FileStore's first file lands.
