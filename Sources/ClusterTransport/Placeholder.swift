// Placeholder until ClusterTransport's first file lands.
