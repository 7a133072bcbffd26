//! Where a plan is carried out: the one place that knows about engines.
