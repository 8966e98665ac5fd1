// Placeholder until ClusterTransportTests' first file lands.
