// Placeholder until clusterctl's first file lands.
