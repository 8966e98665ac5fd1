// Placeholder until clustersim's first file lands.
