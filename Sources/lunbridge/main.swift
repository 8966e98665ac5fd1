// Placeholder until lunbridge's first file lands.
