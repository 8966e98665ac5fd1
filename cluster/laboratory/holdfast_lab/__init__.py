"""The laboratory: two nodes, a witness, an iSCSI target and real clients in network namespaces on one bridge."""
