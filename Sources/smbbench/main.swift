// Placeholder until smbbench's first file lands.
