//! Inside the lab: plan in, evidence out. The same code is process 1 of a host lab and init of a virtual one.
