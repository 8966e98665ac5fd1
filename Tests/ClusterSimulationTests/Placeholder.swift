// Placeholder until ClusterSimulationTests' first file lands.
