// Placeholder until ClusterSimulation's first file lands.
