//! Builds the network of a plan in namespaces, all through netlink: links, addresses, routes, rules, netem, sysctls.
